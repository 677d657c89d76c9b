package gateway

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"potluck/wire"
)

// A worker that says nothing more is dead 90 s after its last sign of life.
func TestDeadAfter90Seconds(t *testing.T) {
	if pingEvery+deadAfter != 90*time.Second {
		t.Errorf("a silent worker is dead after %v", pingEvery+deadAfter)
	}
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far) //nolint:errcheck // it reads and never answers
		conn, err := websocket.Accept(hijacked{httptest.NewRecorder(), near}, upgrade(), nil)
		if err != nil {
			t.Fatal(err)
		}
		s := &session{gateway: &Gateway{draining: make(chan struct{})}, conn: conn, out: newOutbox()}
		begun := time.Now()
		if err := s.ping(t.Context()); err == nil || time.Since(begun) != 90*time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		_ = conn.CloseNow()
		_ = far.Close()
	})
}

type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func upgrade() *http.Request {
	r := httptest.NewRequest(http.MethodGet, wire.SocketPath, nil)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	return r
}

// What is held for a worker stops its messages and its leases until it is less.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backlog
		b.add(maxBacklog)
		if b.full() != nil {
			t.Error("full too early")
		}
		b.add(1)
		ended := false
		go func() { ended = b.room(t.Context()) == nil }()
		synctest.Wait()
		if ended {
			t.Error("there was no room")
		}
		b.add(-1)
		synctest.Wait()
		if !ended {
			t.Error("there is room")
		}
	})
}

// Only what was signed for the volunteer is a lease.
func FuzzLease(f *testing.F) {
	g := &Gateway{secret: []byte("secret")}
	good := g.sign(lease{"job", 7}, "ada")
	f.Add(good, "ada")
	f.Add(good, "eve")
	f.Add(good[:4+macSize-1], "ada")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, volunteer string) {
		if l, ok := g.verify(data, volunteer); ok && !bytes.Equal(g.sign(l, volunteer), data) {
			t.Errorf("%x of %q is not what was signed", data, volunteer)
		}
	})
}

// What a worker says of its engine and platform tells kinds of machines apart,
// and is harmless wherever it is shown.
func TestKind(t *testing.T) {
	for want, h := range map[string]wire.Hello{
		"wazero linux/arm64":    {Engine: "wazero", Platform: "linux/arm64"},
		"browser":               {Engine: "browser"},
		"":                      {},
		"b":                     {Engine: "<b>\x1b\n\u202e", Platform: "Ä \xff"},
		strings.Repeat("a", 32): {Engine: strings.Repeat("a", 1000)},
	} {
		if got := kindOf(h); got != want {
			t.Errorf("%+v is of kind %q, want %q", h, got, want)
		}
	}
}
