package app

import (
	"io"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"potluck/server/api"
	"potluck/wire"
)

// heap is what is alive, in bytes.
func heap() int {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int(sample[0].Value.Uint64())
}

// Many who begin things and do not end them, or send and do not read, take no
// more than the limits give them, and an honest worker works on.
func TestHeapUnderAttack(t *testing.T) { // alone: others would count
	const attackers = 32
	g := serve(t, t.TempDir(), func(c *Config) { c.MaxPerAddress = attackers + 8 })
	j := g.echoes("still\n", "")
	before := heap()
	for range attackers {
		g.raw("GET / HTTP/1.1\r\nX-Half: " + strings.Repeat("x", 8<<10))
		g.raw("POST /api/v1/modules HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\nContent-Length: 33554432\r\n\r\n" + strings.Repeat("x", 64<<10))
		g.raw(upgrade)
	}
	flood, err := wire.Encode(wire.FromWorker{Results: make([]wire.Result, 1<<14)}) // each is answered, and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	deaf := g.worker("deaf", 0)
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		for deaf.conn.Write(t.Context(), websocket.MessageBinary, flood) == nil {
		}
	}()
	half := g.worker("half", 0)
	w, err := half.conn.Writer(t.Context(), websocket.MessageBinary)
	if err == nil {
		_, err = io.WriteString(w, strings.Repeat("x", wire.MaxMessage/2))
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = half.conn.CloseNow()
	g.refuses("POST", "/api/v1/modules", nil, http.StatusTooManyRequests, "from this address", "Content-Type", "application/wasm")
	if a := g.worker("honest", 1).echo(); a.Status != wire.Accepted {
		t.Errorf("an honest answer: %+v", a)
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("an honest job: %+v", j)
	}
	// A body of 16 at most is being read, an attacker has some 64 KiB of buffers,
	// and the one who does not read has their backlog and a message's answers.
	if grown, bound := heap()-before, 64<<20; grown > bound {
		t.Errorf("the heap has grown by %d bytes, more than %d", grown, bound)
	}
	_ = deaf.conn.CloseNow()
	<-stuck
}
