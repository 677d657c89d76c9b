package wire

import (
	"bytes"
	"testing"

	"potluck/scripts/golden"
)

// Workers and gateways of all releases understand each other.
func TestGolden(t *testing.T) {
	golden.RoundTrip(t, "v1/from_worker.hex", fromWorker, Encode, Decode)
	golden.RoundTrip(t, "v1/to_worker.hex", toWorker, Encode, Decode)
	from, to := fromWorker, toWorker
	hello, batch := *from.Hello, to.Batches[0]
	hello.Profiles, batch.Profile = []int{1, 2}, 2
	from.Hello, to.Batches = &hello, []Batch{batch}
	golden.RoundTrip(t, "v2/from_worker.hex", from, Encode, Decode)
	golden.RoundTrip(t, "v2/to_worker.hex", to, Encode, Decode)
	golden.Full(t, from)
	golden.Full(t, to)
}

// Credit is by these ids: a volunteer is the same one for ever.
func TestGoldenVolunteerID(t *testing.T) {
	golden.Bytes(t, "v1/volunteer_id.txt", []byte(VolunteerID(bytes.Repeat([]byte{7}, MinSecret))))
}

var fromWorker = FromWorker{
	Hello: &Hello{
		Protocol: Protocol, Name: "ada", Secret: bytes.Repeat([]byte{7}, MinSecret), Token: "potluck_01020304_SECRET", Slots: 2,
		Engine: "wazero", Platform: "linux/amd64", Team: "engines",
	},
	Credit: 300,
	Results: []Result{
		{Lease: []byte("lease 1"), Output: []byte("output"), Micros: 1_500_000},
		{Lease: []byte("lease 2"), Hash: bytes.Repeat([]byte{0xaa}, 32), Micros: 5},
		{Lease: []byte("lease 3"), Failure: &Failure{Kind: "exit", Message: "exit status 3", Stderr: []byte("no")}, Micros: 7},
	},
	Returns: [][]byte{[]byte("lease 4")},
	Bye:     true,
	Slots:   3,
}

var toWorker = ToWorker{
	Welcome: &Welcome{Volunteer: "0123456789abcdef", Worker: "gateway.1"},
	Batches: []Batch{{
		Job: "job", Title: "a title", Module: bytes.Repeat([]byte{0xbb}, 32), Args: []string{"map", "-v"}, Millis: 60_000, Output: 16 << 20,
		Leases: []Lease{
			{ID: []byte("lease 1"), Task: 70_000, Input: []byte("input")},
			{ID: []byte("lease 2"), Task: 1, Hash: bytes.Repeat([]byte{0xcc}, 32)},
		},
	}},
	Acks:    []Ack{{Lease: []byte("lease 3"), Status: Accepted}, {Lease: []byte("lease 4"), Status: Rejected, Reason: "not yours"}},
	Revoked: [][]byte{[]byte("lease 5")},
	Idle:    &Idle{Reason: "no jobs"},
	Drain:   true,
	Refused: &Refused{Code: CodeFull, Reason: "too many"},
}
