package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// raw opens a connection and sends what no client library would.
func (g *grid) raw(text string) net.Conn {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		g.t.Fatal(err)
	}
	return conn
}

const upgrade = "GET " + wire.SocketPath + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"

// Headers that do not come, and headers that do not end.
func TestSlowAndLargeHeaders(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	slow := g.raw("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
	large := g.raw("GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + strings.Repeat("x", 24<<10) + "\r\n\r\n")
	if answer, _ := io.ReadAll(large); !strings.Contains(string(answer), " 431 ") {
		t.Errorf("large headers: %q", answer)
	}
	_, _ = io.ReadAll(slow) // it ends
}

// Frames that break RFC 6455 end the connection; no extension is agreed on.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), func(c *Config) { c.MaxPerAddress = 64 })
	masked := func(first byte, n int) string {
		return string([]byte{first, 0x80 | 126, byte(n >> 8), byte(n), 0, 0, 0, 0}) + strings.Repeat("x", n)
	}
	for name, c := range map[string]struct {
		frames string
		code   websocket.StatusCode
	}{
		"unmasked":            {"\x82\x01\xa0", websocket.StatusPolicyViolation},
		"reserved bits":       {"\xf2\x81\x00\x00\x00\x00\xa0", websocket.StatusProtocolError},
		"fragments too large": {masked(0x02, 4000) + masked(0x80, 97), websocket.StatusMessageTooBig},
		"a huge frame":        {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00" + strings.Repeat("x", 4097), websocket.StatusMessageTooBig},
	} {
		conn := g.raw(upgrade + c.frames)
		answer, _ := io.ReadAll(conn)
		head, rest, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
		if bytes.Contains(bytes.ToLower(head), []byte("permessage-deflate")) {
			t.Errorf("compression was agreed on: %s", head)
		}
		for len(rest) > 2 && rest[0] == 0x82 && len(rest) > 2+int(rest[1]) { // the reason comes before
			rest = rest[2+int(rest[1]):]
		}
		if len(rest) < 4 || rest[0] != 0x88 || websocket.StatusCode(binary.BigEndian.Uint16(rest[2:])) != c.code {
			t.Errorf("%s: %x", name, rest)
		}
	}
}

// A greeted worker may send a message of 1 MiB and not a byte more, and no nonsense.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), func(c *Config) { c.MaxPerAddress = 64 })
	large := append([]byte{0xa1, 0x18, 99, 0x5a, 0, 0x0f, 0xff, 0xf8}, make([]byte, wire.MaxMessage-8)...)
	w := g.worker("large", 0)
	if err := w.conn.Write(t.Context(), websocket.MessageBinary, large); err != nil {
		t.Fatal(err)
	}
	w.result(wire.Result{Lease: []byte("none")}) // it goes on
	if err := w.conn.Write(t.Context(), websocket.MessageBinary, append(large, 0)); err != nil {
		t.Fatal(err)
	}
	ends := func(name string, w *worker, code websocket.StatusCode) {
		t.Helper()
		for {
			if _, _, err := w.conn.Read(t.Context()); err != nil {
				if websocket.CloseStatus(err) != code {
					t.Errorf("%s: %v", name, err)
				}
				return
			}
		}
	}
	ends("a byte over", w, websocket.StatusMessageTooBig)
	for name, data := range map[string][]byte{
		"nested deeply": append([]byte{0xa1, 0x18, 99}, append(bytes.Repeat([]byte{0x81}, 1000), 0)...),
		"a huge array":  {0xa1, 0x03, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0},
		"a huge string": {0xa1, 0x04, 0x81, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"garbage":       []byte("\xff\xff\xff\xff"),
	} {
		w := g.worker(name, 0)
		if err := w.conn.Write(t.Context(), websocket.MessageBinary, data); err != nil {
			t.Fatal(err)
		}
		ends(name, w, websocket.StatusPolicyViolation)
	}
}

// Only the grid's own pages, those named, and programs may open sockets.
func TestOrigins(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), func(c *Config) { c.Origins = []string{"https://friend.example"} })
	host := strings.TrimPrefix(g.URL, "http://")
	for origin, allowed := range map[string]bool{
		"": true, g.URL: true, "https://friend.example": true,
		"null": false, "https://evil.example": false, g.URL + ".evil.example": false, "http://evil.example/" + host: false,
		"http://" + host + "@evil.example": false, "https://friend.example.evil.example": false, "http://127.0.0.1": false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		conn, resp, err := websocket.Dial(t.Context(), "ws://"+host+wire.SocketPath, &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // Dial closes it
		if err == nil {
			_ = conn.CloseNow()
		}
		if allowed != (err == nil) || !allowed && resp.StatusCode != http.StatusForbidden {
			t.Errorf("%q: %v", origin, err)
		}
	}
}

// A safeBuffer may be written by many.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// No address is in the log, even at debug level and after connections that
// ended badly.
func TestLogHasNoAddress(t *testing.T) {
	t.Parallel()
	var out safeBuffer
	c := Config{
		Addr: "127.0.0.1:0", Data: t.TempDir(), TaskTime: patience, TaskOutput: 16 << 20, TaskMemory: 64 << 20,
		NetworkV4: 24, NetworkV6: 48, NATSReplicas: 1, MaxJobs: 100, MaxPerAddress: 8, RefereeShare: 1, Anonymous: true, SubmitterJobs: 20, SubmitterBytes: 4 << 30,
	}
	a, err := Start(t.Context(), c, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	g := &grid{App: a, t: t}
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Text: "a\n"}})
	w := g.worker("Ada", 1)
	w.echo()
	g.ended(j.ID)
	conn := g.raw(upgrade + "\x82\x01\xa0")
	_ = conn.(*net.TCPConn).SetLinger(0) // a reset
	_ = conn.Close()
	_ = w.conn.CloseNow()
	a.Close(context.Background())
	if text := out.b.String(); strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "a worker came") {
		t.Errorf("the log: %s", text)
	}
}

// An output that is sent over HTTP may be as large as a task may write, and not
// a byte larger.
func TestOutputLimit(t *testing.T) {
	t.Parallel()
	const most = 1 << 20
	g := serve(t, t.TempDir(), func(c *Config) { c.TaskOutput = most })
	j := g.echoes("a\n", "")
	ada := g.worker("Ada", 1)
	lease := ada.leases(1)[0]
	put := func(output []byte) (int, []byte) {
		sum := sha256.Sum256(output)
		status, _, body := g.request("PUT", fmt.Sprintf(wire.OutputPath, j.ID, hex.EncodeToString(sum[:])), output,
			wire.LeaseHeader, hex.EncodeToString(lease.ID), wire.VolunteerHeader, ada.id)
		return status, body
	}
	if status, body := put(make([]byte, most)); status != http.StatusCreated {
		t.Errorf("as large as may be: %d, %s", status, body)
	}
	if status, body := put(make([]byte, most+1)); status != http.StatusRequestEntityTooLarge || !strings.Contains(string(body), "1048576 bytes") {
		t.Errorf("a byte more: %d, %s", status, body)
	}
}

// Neither viewers who do not read, nor a worker who gives back what it never
// had and says hello again and again, keep others from their work.
func TestFloods(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	const tasks = 200
	j := g.echoes(strings.Repeat("a\n", tasks), "")
	for range 20 {
		g.raw("GET /api/v1/jobs/" + j.ID + "/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	noise := wire.FromWorker{
		Hello:   &wire.Hello{Protocol: wire.Protocol, Name: "another", Secret: secretOf("another"), Slots: 1, Profiles: sandbox.Profiles},
		Returns: slices.Repeat([][]byte{[]byte("never lent")}, 1<<14),
	}
	data, err := wire.Encode(noise)
	if err != nil {
		t.Fatal(err)
	}
	loud := g.worker("loud", 0)
	var wait sync.WaitGroup
	wait.Go(func() {
		for loud.conn.Write(t.Context(), websocket.MessageBinary, data) == nil {
		}
	})
	ada := g.worker("Ada", tasks)
	for range tasks {
		if a := ada.echo(); a.Status != wire.Accepted {
			t.Errorf("an honest answer: %+v", a)
		}
	}
	_ = loud.conn.CloseNow()
	wait.Wait()
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("%+v", j)
	}
	for _, w := range get[[]api.Worker](g, "/api/v1/workers") {
		if w.Name == "another" {
			t.Error("a worker has become another by a second hello")
		}
	}
}
