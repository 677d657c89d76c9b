package gateway

import (
	"bytes"
	"testing"

	"potluck/scripts/golden"
)

// A lease outlives the server that signed it: a volunteer may answer a newer one.
func TestGolden(t *testing.T) {
	g := &Gateway{secret: bytes.Repeat([]byte{7}, 32)}
	lent := lease{job: "0j9k2m", task: 70_000}
	old := golden.Bytes(t, "v1/lease.hex", g.sign(lent, "0123456789abcdef"))
	if got, ok := g.verify(old, "0123456789abcdef"); !ok || got != lent {
		t.Errorf("it is read as %+v, %v", got, ok)
	}
}
