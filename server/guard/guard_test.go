package guard

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
)

var hasty = Pace{While: 100 * time.Millisecond, Rate: 1 << 20}

// serve answers with a handler behind a middleware.
func serve(t *testing.T, m echo.MiddlewareFunc, h echo.HandlerFunc) string {
	t.Helper()
	e := echo.New()
	e.Use(m)
	e.Any("/", h)
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func dial(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	address := serve(t, Slow(hasty), func(c echo.Context) error {
		_, err := io.ReadAll(c.Request().Body)
		return err
	})
	conn := dial(t, address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nslow")
	answer, err := io.ReadAll(conn) // to the end of the connection
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Fatalf("%q, %v", answer, err)
	}
}

// Who does not read is cut off, and the handler with them.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	address := serve(t, Slow(hasty), func(c echo.Context) error {
		for {
			if _, err := c.Response().Write(make([]byte, 1<<20)); err != nil {
				close(cut)
				return err
			}
		}
	})
	dial(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-cut:
	case <-time.After(20 * time.Second):
		t.Fatal("the answer is still being written")
	}
}

// A deadline of one request is not the next one's.
func TestPaceEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	address := serve(t, Slow(hasty), func(c echo.Context) error {
		_, err := io.ReadAll(c.Request().Body)
		<-time.After(2 * hasty.While) // it takes longer than anybody may hesitate
		return errors.Join(err, c.Request().Context().Err(), c.NoContent(http.StatusNoContent))
	})
	for range 2 {
		resp, err := http.Post("http://"+address, "text/plain", strings.NewReader("quick"))
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%+v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
}

// A body that never pauses for long, but comes too slowly on the whole, is cut
// off too, and so is a reader like that.
func TestSlowOnAverage(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	address := serve(t, Slow(hasty), func(c echo.Context) error {
		if c.Request().Method == http.MethodPost {
			_, err := io.Copy(io.Discard, c.Request().Body)
			return err
		}
		for {
			if _, err := c.Response().Write(make([]byte, 1<<20)); err != nil {
				close(cut)
				return err
			}
		}
	})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	sends := dial(t, address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n")
	answer := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(sends) // it ends with a reset
		answer <- string(text)
	}()
	for done := false; !done; {
		select {
		case text := <-answer:
			if done = true; !strings.HasPrefix(text, "HTTP/1.1 408 ") {
				t.Errorf("the sender got %q", text)
			}
		case <-tick.C:
			_, _ = sends.Write([]byte("x")) // until it is cut off
		}
	}
	reads := dial(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for {
		select {
		case <-cut:
			return
		case <-tick.C:
			_, _ = reads.Read(make([]byte, 1)) // likewise
		}
	}
}

// What the server does meanwhile is not the other side's slowness.
func TestOwnTimeIsNotCounted(t *testing.T) {
	t.Parallel()
	address := serve(t, Slow(hasty), func(c echo.Context) error {
		for range 3 {
			<-time.After(hasty.While)
			if _, err := io.ReadFull(c.Request().Body, make([]byte, 2)); err != nil {
				return err
			}
		}
		return c.NoContent(http.StatusNoContent)
	})
	resp, err := http.Post("http://"+address, "text/plain", strings.NewReader("abcdef"))
	if err != nil || resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
}

func TestDoors(t *testing.T) {
	t.Parallel()
	queue, caller := "strangers", "c"
	doors := &Doors{All: 2, Each: 1, Of: func(echo.Context) (string, string) { return queue, caller }}
	d := doors.door(queue)
	try := func(address string, want error) {
		t.Helper()
		if _, err := d.enter(address); !errors.Is(err, want) {
			t.Errorf("%s: %v instead of %v", address, err, want)
		}
	}
	try("a", nil)
	try("a", errEach)
	try("b", nil)
	try("c", errAll)
	d.leave("a")
	try("c", nil)
	address := serve(t, doors.Limit, func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	ask := func() *http.Response {
		t.Helper()
		resp, err := http.Get("http://" + address)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	caller = "d"
	if resp := ask(); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("%+v", resp)
	}
	queue = "admins"
	if resp := ask(); resp.StatusCode != http.StatusNoContent {
		t.Fatalf("in another queue: %+v", resp)
	}
}

// What follows has the whole of a small body, and of a large one too, and does
// not begin before.
func TestWholeBodies(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 3)
	address := serve(t, Whole(5), func(c echo.Context) error {
		began <- struct{}{}
		data, err := io.ReadAll(c.Request().Body)
		return errors.Join(err, c.String(http.StatusOK, string(data)))
	})
	for _, text := range []string{"", "abcde", "abcdefgh"} {
		resp, err := http.Post("http://"+address, "text/plain", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(resp.Body); err != nil || string(data) != text {
			t.Errorf("%q became %q, %v", text, data, err)
		}
		_ = resp.Body.Close()
		<-began
	}
	conn := dial(t, address, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
	select {
	case <-began:
		t.Error("it began before the body was there")
	default:
	}
	_, _ = io.WriteString(conn, "c") // it is there
	<-began
}

// Of X-Forwarded-For only what a proxy of ours has added counts.
func TestForwarded(t *testing.T) {
	for _, c := range []struct {
		peer   string
		header []string
		want   string
	}{
		{"127.0.0.1:9", []string{"203.0.113.7"}, "203.0.113.7"},
		{"127.0.0.1:9", []string{"6.6.6.6, 10.0.0.5"}, "10.0.0.5"},
		{"127.0.0.1:9", []string{"6.6.6.6", "127.0.0.1,192.168.1.9"}, "192.168.1.9"},
		{"10.1.1.1:9", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"[::1]:9", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:9", []string{"203.0.113.7"}, "203.0.113.7"},
		{"203.0.113.1:9", []string{"6.6.6.6"}, "203.0.113.1"},
		{"127.0.0.1:9", []string{"6.6.6.6, unknown"}, "127.0.0.1"},
		{"127.0.0.1:9", []string{"6.6.6.6,"}, "127.0.0.1"},
		{"127.0.0.1:9", nil, "127.0.0.1"},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.header}}
		if got := Forwarded(r); got != c.want {
			t.Errorf("%s with %q is %s, not %s", c.peer, c.header, got, c.want)
		}
	}
}

func TestAddress(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::9": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "",
	} {
		if got := Address(given); got != want {
			t.Errorf("%s counts as %s, not as %s", given, got, want)
		}
	}
}

func TestVeil(t *testing.T) {
	var out bytes.Buffer
	log := Veil(slog.New(slog.NewTextHandler(&out, nil))).With("from", "192.0.2.7")
	log.Info("serving 192.0.2.7:4242: panic", "error", errors.New("read tcp [2001:db8::1]:80->192.0.2.7:99: connection reset"),
		"id", "0123456789abcdef", "at", "12:30:45", slog.Group("a", "b", "fe80::1%eth0"))
	text := out.String()
	for _, secret := range []string{"192.0.2.7", "2001:db8", "fe80"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in %s", secret, text)
		}
	}
	if strings.Count(text, "address-") != 5 || !strings.Contains(text, "0123456789abcdef") || !strings.Contains(text, "at=12:30:45") || !strings.Contains(text, "connection reset") {
		t.Errorf("too much or too little is hidden: %s", text)
	}
}

// An address has so many connections and all together so many; what ends makes
// room, and the log says what was refused, once.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Listener{Listener: inner, All: 3, Each: 2, Log: slog.New(slog.NewTextHandler(&out, nil))}
	t.Cleanup(func() { _ = l.Close() })
	accepted := make(chan net.Conn)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	address := inner.Addr().String()
	first := dial(t, address, "")
	ours := <-accepted
	dial(t, address, "")
	<-accepted
	refused := func() {
		t.Helper()
		if _, err := dial(t, address, "").Read(make([]byte, 1)); err == nil {
			t.Error("one connection more was not closed")
		}
	}
	refused()
	refused()
	_ = first.Close()
	_, _ = ours.Read(make([]byte, 1)) // it has ended
	_, _ = ours.Close(), ours.Close() // twice is once
	dial(t, address, "")
	<-accepted
	refused()
	_ = l.Close()
	<-accepted
	if text := out.String(); strings.Count(text, "an address has") != 1 {
		t.Errorf("the log: %s", text)
	}
	l.Shared = true
	near, far := net.Pipe()
	t.Cleanup(func() { _ = errors.Join(near.Close(), far.Close()) })
	for range 5 {
		_ = l.enter(l.counts(from{near, "127.0.0.1:1"}))
	}
	if l.open != l.All || l.enter("203.0.113.7") || !strings.Contains(out.String(), "as many connections as may be") {
		t.Errorf("%d are open: %s", l.open, out.String())
	}
}

// from is a connection from an address.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", f.address) // it is one
	return a
}

// Without a file descriptor the log says so once, and serving goes on.
func TestExhaustedFilesAreSaid(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	starved := &starvedListener{Listener: inner, left: 3}
	s := &http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	t.Cleanup(func() { _ = s.Close() })
	go func() {
		_ = s.Serve(&Listener{Listener: starved, All: 10, Each: 10, Log: slog.New(slog.NewTextHandler(&out, nil))})
	}()
	resp, err := http.Get("http://" + inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if text := out.String(); strings.Count(text, "level=ERROR") != 1 || !strings.Contains(text, "ulimit -n") || !strings.Contains(text, "too many open files") {
		t.Errorf("the log: %s", text)
	}
}

// A starvedListener has no file descriptors for a while.
type starvedListener struct {
	net.Listener
	left int
}

func (l *starvedListener) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}
