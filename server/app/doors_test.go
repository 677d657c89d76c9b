package app

import (
	"fmt"
	"net/http"
	"testing"

	"potluck/server/api"
	"potluck/wire"
)

// Strangers who begin requests and do not end them keep other strangers from the
// same kind only, and nobody who has a token from anything.
func TestTokensWaitForNoStranger(t *testing.T) {
	t.Parallel()
	g := servePublic(t, nil)
	submitter := g.submitter().Token
	for i := range expensiveAll {
		from := fmt.Sprintf("X-Forwarded-For: 203.0.113.%d\r\n", i/expensiveEach)
		g.raw("POST /api/v1/modules HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/wasm\r\n" + from + "Content-Length: 33554432\r\n\r\nslow")
		g.raw("POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\n" + from + "Content-Length: 60000\r\n\r\nslow")
	}
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
