package assemble

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"potluck/scripts/golden"
)

// A job that is done keeps its records for as long as it is there.
func TestGolden(t *testing.T) {
	credit := Credit{Volunteer: "0123456789abcdef", Tasks: 300, Millis: 450_000}
	golden.RoundTrip(t, "v1/record.hex", full, cbor.Marshal, cbor.Unmarshal)
	golden.RoundTrip(t, "v1/credit.hex", credit, cbor.Marshal, cbor.Unmarshal)
	skipped := full
	skipped.Skipped = "task 70000 failed"
	golden.RoundTrip(t, "v2/record.hex", skipped, cbor.Marshal, cbor.Unmarshal)
	golden.Full(t, skipped)
	golden.Full(t, credit)
}

// Programs of submitters read these lines.
func TestGoldenLines(t *testing.T) {
	for file, output := range map[string]string{
		"v1/line_json.json": "{\"a\": [1]}\n", "v1/line_text.json": "<text>\n", "v1/line_bytes.json": "\xff\x00",
	} {
		line, err := object(full, []byte(output))
		if err != nil {
			t.Fatal(err)
		}
		golden.Bytes(t, file, line)
	}
}

var full = Record{
	Task: 70_000, Voters: []Voter{{ID: "0123456789abcdef", Millis: 1500}, {ID: "fedcba9876543210", Millis: 2}},
	Lent: 1_795_000_000_000, Accepted: 1_795_000_001_500, Bytes: 6, Hash: bytes.Repeat([]byte{0xaa}, 32), Tries: 3, Dissents: 1, Sure: true,
}
