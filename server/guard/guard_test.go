package guard

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
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

// Who does not read is cut off, and the handler with him.
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

func TestDoor(t *testing.T) {
	t.Parallel()
	d := &Door{All: 2, Each: 1}
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
	address := serve(t, d.Limit, func(c echo.Context) error { return c.NoContent(http.StatusNoContent) })
	resp, err := http.Get("http://" + address)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Fatalf("%+v, %v", resp, err)
	}
	_ = resp.Body.Close()
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
