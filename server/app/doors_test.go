package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// Strangers who begin requests and do not end them keep other strangers from the
// same kind only, and nobody who has a token from anything.
func TestTokensWaitForNoStranger(t *testing.T) {
	t.Parallel()
	g := servePublic(t, nil)
	submitter := g.submitter().Token
	var slow []net.Conn
	for i := range expensiveAll {
		from := fmt.Sprintf("X-Forwarded-For: 203.0.113.%d\r\n", i/expensiveEach)
		slow = append(slow, g.raw("POST /api/v1/modules HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\n"+from+"Content-Length: 33554432\r\n\r\nslow"))
		g.raw("POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + from + "Content-Length: 60000\r\n\r\nslow")
	}
	go trickle(t.Context(), slow)
	wasm := []string{"Content-Type", "application/wasm"}
	stranger := []string{"X-Forwarded-For", "198.51.100.1"}
	g.until("all places of strangers to be taken", func() bool {
		status, _, _ := g.request("POST", "/api/v1/modules", nil, append(wasm, stranger...)...)
		return status == http.StatusServiceUnavailable
	})
	g.refuses("POST", "/api/v1/modules", nil, http.StatusTooManyRequests, "from this address", append(wasm, "X-Forwarded-For", "203.0.113.1")...)
	for _, token := range []string{submitter, g.admin} {
		g.refuses("POST", "/api/v1/modules", nil, http.StatusUnprocessableEntity, "not a WebAssembly module", with(token, wasm...)...)
		g.submit(token)
	}
	if j := post[api.Job](g.grid, "/api/v1/jobs", square, stranger...); j.Owner != "anonymous" {
		t.Errorf("a stranger's job: %+v", j)
	}
}

// trickle sends bodies just fast enough not to be cut off.
func trickle(ctx context.Context, all []net.Conn) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, conn := range all {
			_, _ = conn.Write(make([]byte, 16<<10)) // the test says what becomes of it
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Strangers who fetch inputs and do not read them keep nobody with a token from
// fetching some, and are cut off.
func TestTokensWaitForNoSlowReader(t *testing.T) {
	t.Parallel()
	g := servePublic(t, nil)
	const size = 12 << 20
	upload := post[api.Upload](g.grid, "/api/v1/inputs", make([]byte, size), with(g.admin)...).ID
	wasm := with(g.admin, "Content-Type", "application/wasm")
	module := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), wasm...).ID
	job := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: module, Input: api.Input{Upload: upload, Split: fmt.Sprintf("bytes:%d", size)}}, with(g.admin)...)
	path := fmt.Sprintf(wire.InputPath, job.ID, 0)
	for i := range expensiveAll {
		conn := g.raw("")
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.%d\r\n\r\n", path, i/expensiveEach)
		if _, err := conn.Read(make([]byte, 1)); err != nil { // it has a place now
			t.Fatal(err)
		}
	}
	runner := g.token(api.NewToken{Role: api.RoleRunner}).Token
	if status, _, body := g.request("GET", path, nil, with(runner)...); status != http.StatusOK || len(body) != size {
		t.Errorf("with a runner's token: %d, %d bytes", status, len(body))
	}
	g.until("the slow readers to be cut off", func() bool {
		status, _, _ := g.request("GET", path, nil, "X-Forwarded-For", "198.51.100.1")
		return status == http.StatusOK
	})
}

// A client behind a proxy cannot choose the address that it counts as.
func TestForwardedAddressIsTheProxys(t *testing.T) {
	t.Parallel()
	g := servePublic(t, func(c *Config) { c.MaxPerAddress = 1 })
	g.from = "6.6.6.6, 10.0.0.5"
	g.dial()
	g.refuses("GET", wire.SocketPath, nil, http.StatusTooManyRequests, "from this address", "X-Forwarded-For", "7.7.7.7, 10.0.0.5")
	g.from = "6.6.6.6, 10.0.0.6"
	g.dial()
}

// An address has so many streams of events; who has a token has as many more.
func TestStreamsOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	g := servePublic(t, nil)
	stream := func(header ...string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL+"/api/v1/grid/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	one, other := []string{"X-Forwarded-For", "203.0.113.1"}, []string{"X-Forwarded-For", "203.0.113.2"}
	var first *http.Response
	for i := range streamsEach {
		resp := stream(one...)
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %d", i, resp.StatusCode)
		}
		if first == nil {
			first = resp
		}
	}
	for _, path := range []string{"/api/v1/grid/events", "/api/v1/events?grid=true", "/api/v1/jobs/none/events"} {
		g.refuses("GET", path, nil, http.StatusTooManyRequests, "from this address", one...)
	}
	if a, b := stream(other...).StatusCode, stream(with(g.admin, one...)...).StatusCode; a != http.StatusOK || b != http.StatusOK {
		t.Errorf("another address: %d, a token: %d", a, b)
	}
	_ = first.Body.Close()
	g.until("room for another stream", func() bool { return stream(one...).StatusCode == http.StatusOK })
}

// One address may have so many connections, and the next is closed at once.
func TestConnectionsOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	var idle []net.Conn
	for range connectionsEach(maxFiles(), 1) {
		idle = append(idle, g.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	}
	g.until("one connection more to be closed", func() bool {
		conn := g.raw("")
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		_, err := conn.Read(make([]byte, 1))
		return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
	})
	for _, conn := range idle {
		_ = conn.Close()
	}
	g.until("room for another", func() bool {
		resp, err := http.Get(g.URL + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
}
