package dispatch

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"potluck/scripts/golden"
	"potluck/server/assemble"
	"potluck/wire"
)

// The servers of a grid need not all be of one release.
func TestGolden(t *testing.T) {
	person := Person{ID: "0123456789abcdef", Trusted: true, Network: 0xc6336400}
	hash := bytes.Repeat([]byte{0xaa}, 32)
	voter := assemble.Voter{ID: "0123456789abcdef", Millis: 1500}
	newer := person
	newer.Kind = "wazero linux/arm64"
	offer := Offer{Job: "job", Epoch: 3, Version: 70_000, Waiting: -1, Weight: 0.5, Mean: 1_500_000}
	older(t, "v1/offer.hex", offer)
	offer.Profile, offer.More = 2, 4
	current(t, "v2/offer.hex", offer)
	older(t, "v1/take.hex", Take{Person: person, Worker: "gateway.1", N: 5})
	current(t, "v2/take.hex", Take{Person: newer, Worker: "gateway.1", N: 5, Slots: 2})
	taken := Taken{Tasks: []Task{{Task: 1, Input: []byte("input")}, {Task: 2, Hash: hash}}}
	older(t, "v1/taken.hex", taken)
	taken.Full = true
	current(t, "v2/taken.hex", taken)
	report := Report{Person: person, Worker: "gateway.1", Answers: []Answer{
		{Task: 1, Output: []byte("output"), Micros: 1_500_000},
		{Task: 2, Hash: hash, Micros: 5},
		{Task: 3, Failure: &wire.Failure{Kind: "exit", Message: "exit status 3", Stderr: []byte("no")}, Micros: 7},
	}}
	older(t, "v1/report.hex", report)
	report.Person = newer
	current(t, "v2/report.hex", report)
	current(t, "v1/reported.hex", Reported{Verdicts: []Verdict{{Status: wire.Accepted}, {Status: wire.Rejected, Reason: "not yours"}}})
	older(t, "v1/return.hex", Return{Person: person, Worker: "gateway.1", Tasks: []uint32{1, 70_000}})
	current(t, "v2/return.hex", Return{Person: newer, Worker: "gateway.1", Tasks: []uint32{1, 70_000}})
	current(t, "v2/deposit.hex", Deposit{Task: 70_000, Hash: hash, Bytes: 1 << 20, Stored: true, Person: newer})
	current(t, "v2/deposited.hex", Deposited{Ended: true, Full: true})
	current(t, "v1/revoke.hex", Revoke{Worker: "gateway.1", Job: "job", Task: 70_000})
	progress := Progress{
		Job: "job", Total: 9, Done: 4, Lent: 3, Waiting: 2, Voting: 1, Mean: 1_500_000, Failures: []Failing{failing}, Stuck: "paused",
	}
	older(t, "v1/progress.hex", progress)
	progress.Failures = []Failing{newerFailing()}
	progress.Skipped, progress.Skips = 1, []Failing{newerFailing()}
	current(t, "v2/progress.hex", progress)
	query := Query{Want: WantTasks, From: 10, N: 20, Open: true}
	older(t, "v1/query.hex", query)
	query.Job = "job"
	current(t, "v2/query.hex", query)
	tasks := func(p Person, skipped string) Tasks {
		return Tasks{
			Done: []assemble.Record{{
				Task: 1, Voters: []assemble.Voter{voter}, Lent: 1_795_000_000_000, Accepted: 1_795_000_001_500, Bytes: 6, Hash: hash, Tries: 2, Dissents: 1, Sure: true, Skipped: skipped,
			}},
			Open: []Open{{
				Task: 2, State: Voting, Lent: 1_795_000_000_000, Tries: 1, Shares: []Share{{Person: p, State: Answered, Millis: 1500}},
			}},
			Next: 3,
		}
	}
	older(t, "v1/tasks.hex", tasks(person, ""))
	current(t, "v2/tasks.hex", tasks(newer, "task 1 failed"))
	current(t, "v1/tiles.hex", Tiles{Size: 2, Done: []uint32{1}, Lent: []uint32{2}, Voting: []uint32{3}, Failed: []uint32{4}})
}

var failing = Failing{Task: 3, By: "0123456789abcdef", Reason: "exit status 3", Stderr: "no", At: 1_795_000_000_000}

func newerFailing() Failing {
	f := failing
	f.Input = "12"
	return f
}

// A failed job has its last failed tries in the ledger.
func TestGoldenFailing(t *testing.T) {
	golden.RoundTrip(t, "v1/failing.json", failing, json.Marshal, json.Unmarshal)
	golden.RoundTrip(t, "v2/failing.json", newerFailing(), json.Marshal, json.Unmarshal)
	golden.Full(t, newerFailing())
}

// older checks that a message of an older release is read.
func older[T any](t *testing.T, file string, message T) {
	t.Helper()
	golden.RoundTrip(t, file, message, cbor.Marshal, Decode)
}

// current checks a message as this release sends it, with every field.
func current[T any](t *testing.T, file string, message T) {
	t.Helper()
	golden.RoundTrip(t, file, message, cbor.Marshal, Decode)
	golden.Full(t, message)
}
