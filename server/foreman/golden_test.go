package foreman

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"potluck/scripts/golden"
	"potluck/server/assemble"
	"potluck/server/ledger"
)

// What was accepted before a server was replaced by a newer one counts.
func TestGolden(t *testing.T) {
	r := accepted{Record: assemble.Record{
		Task: 70_000, Voters: []assemble.Voter{{ID: "0123456789abcdef", Millis: 1500}},
		Lent: 1_795_000_000_000, Accepted: 1_795_000_001_500, Bytes: 6, Hash: bytes.Repeat([]byte{0xaa}, 32), Tries: 3, Dissents: 1, Sure: true,
	}, Output: []byte("output"), Object: true, Confirms: true}
	golden.RoundTrip(t, "v1/accepted.hex", r, cbor.Marshal, cbor.Unmarshal)
	skipped := r
	skipped.Record.Skipped = "task 70000 failed"
	golden.RoundTrip(t, "v2/accepted.hex", skipped, cbor.Marshal, cbor.Unmarshal)
	golden.Full(t, skipped)
	usual := r
	usual.Object, usual.Confirms = false, false
	golden.RoundTrip(t, "v1/accepted_usual.hex", usual, cbor.Marshal, cbor.Unmarshal)
}

// A large output is found again by this name.
func TestGoldenOutput(t *testing.T) {
	golden.Bytes(t, "v1/output_object.txt", []byte(ledger.OutputObject("job", bytes.Repeat([]byte{0xaa}, 32))))
}
