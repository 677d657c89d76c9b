package assemble

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"

	"potluck/contract"
)

// A Voter is a volunteer whose result was counted, and how long it took them.
type Voter struct {
	ID     string `json:"id" cbor:"1,keyasint"`
	Millis int64  `json:"ms" cbor:"3,keyasint"` // of computing
}

// A Record says of one task who computed it and when. Times are in
// milliseconds since 1970, by the server's clock.
type Record struct {
	Task     int     `json:"task" cbor:"1,keyasint"`
	Voters   []Voter `json:"volunteers" cbor:"2,keyasint"`
	Lent     int64   `json:"lent" cbor:"3,keyasint"`        // when it was first lent
	Accepted int64   `json:"accepted" cbor:"4,keyasint"`    // when its result was accepted
	Bytes    int     `json:"bytes" cbor:"5,keyasint"`       // of output
	Hash     []byte  `json:"-" cbor:"6,keyasint"`           // SHA-256 of the output
	Tries    int     `json:"-" cbor:"7,keyasint,omitempty"` // volunteers that it was lent to; older records lack it
	Dissents int     `json:"-" cbor:"8,keyasint,omitempty"` // results that were not the accepted one
	Sure     bool    `json:"-" cbor:"9,keyasint,omitempty"` // the referee or a trusted runner computed it too
	// Skipped is why the task was left out: its program fails. It has no output then.
	Skipped string `json:"skipped,omitempty" cbor:"10,keyasint,omitempty"`
}

// object writes a record with its output as one line of JSON. An output that
// is JSON stands as it is, other text as a string, anything else in base64.
func object(r Record, output []byte) ([]byte, error) {
	o := struct {
		Record
		Output any    `json:"output,omitempty"`
		Base64 []byte `json:"base64,omitempty"`
	}{Record: r}
	switch trimmed := bytes.TrimSpace(output); {
	case r.Skipped != "":
	case json.Valid(trimmed):
		o.Output = json.RawMessage(trimmed)
	case utf8.Valid(output):
		o.Output = string(output)
	default:
		o.Base64 = output
	}
	return json.Marshal(o)
}

// MediaType is the type of what a way to collect makes of plain outputs.
func MediaType(c contract.Collect) string {
	switch c {
	case contract.NDJSON:
		return "application/x-ndjson"
	case contract.JSON:
		return "application/json"
	case contract.Concat:
	}
	return "application/octet-stream"
}

// And gives the voters of a record and others, each once: what an append was cut
// off at is in a log twice.
func (r Record) And(others []Voter) []Voter {
	all := slices.Clone(r.Voters)
	for _, v := range others {
		if !slices.ContainsFunc(all, func(known Voter) bool { return known.ID == v.ID }) {
			all = append(all, v)
		}
	}
	return all
}
