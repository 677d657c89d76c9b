package app

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"potluck/server/api"
	"potluck/wire"
)

// by asks a path of the server by a name.
func (g *grid) by(host, path string) (int, api.Problem) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.URL+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var p api.Problem
	_ = json.NewDecoder(resp.Body).Decode(&p) // a page is no problem
	return resp.StatusCode, p
}

// A page of another name that resolves to this machine gets nothing of the
// grid: no page, no answer of the API, no socket.
func TestAnotherNameGetsNothing(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	for _, name := range []string{
		"rebound.example", "rebound.example:8080", "127.0.0.1.rebound.example", "localhost.rebound.example", "xlocalhost", "0x7f000001", "127.1", "[rebound.example]:80", "a]", strings.Repeat("x", 4000),
	} {
		for _, path := range []string{"/", "/jobs", "/assets/nothing.js", "/api/v1/grid", "/api/v1/jobs", "/api/v1/nothing", "/nowhere", wire.SocketPath} {
			status, p := g.by(name, path)
			if status != http.StatusMisdirectedRequest || !strings.Contains(p.Detail, "--url") || !strings.Contains(p.Detail, "--host") || len(p.Detail) > 500 {
				t.Errorf("%s by %.100s: %d, %.300s", path, name, status, p.Detail)
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if status, p := g.by(name, path); status != http.StatusOK {
				t.Errorf("%s by %.100s: %d, %+v", path, name, status, p)
			}
		}
	}
	_, resp, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(g.URL, "http")+wire.SocketPath, //nolint:bodyclose // Dial closes it
		&websocket.DialOptions{Host: "rebound.example", HTTPHeader: http.Header{"Origin": {"http://rebound.example"}}})
	if err == nil || resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a socket by another name: %v", err)
	}
}

// A server answers to addresses, to the names it was told, and to those of its
// own machine as far as it can be reached by them.
func TestOwnNames(t *testing.T) {
	t.Parallel()
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	const no, yes = http.StatusMisdirectedRequest, http.StatusOK
	others := no // whether a server that only its own machine reaches knows its name
	if machine == "localhost" {
		others = yes
	}
	always := map[string]int{"127.0.0.1": yes, "[::1]:99": yes, "192.0.2.7:80": yes, "[2001:db8::1]": yes, "localhost": yes, "LocalHost.:8080": yes, "other.example": no}
	for about, c := range map[string]struct {
		change func(*Config)
		want   map[string]int
	}{
		"its own machine": {nil, map[string]int{"grid.example": no, machine: others}},
		"all addresses":   {func(c *Config) { c.Addr = ":0" }, map[string]int{"grid.example": no, machine: yes, strings.ToUpper(machine) + ":80": yes}},
		"told": {
			func(c *Config) { c.URL, c.Hosts = "https://Grid.Example:8443/", []string{"grid.lan", "GRID2.lan"} },
			map[string]int{"grid.example": yes, "grid.example:443": yes, "grid.lan": yes, "grid2.lan": yes, "www.grid.example": no},
		},
		"behind a proxy": {func(c *Config) { c.BehindProxy, c.URL = true, "http://grid.example" }, map[string]int{"grid.example": yes, machine: others}},
	} {
		g := serve(t, t.TempDir(), c.change)
		for _, names := range []map[string]int{always, c.want} {
			for name, want := range names {
				if status, p := g.by(name, "/api/v1/grid"); status != want {
					t.Errorf("%s, by %s: %d, %+v", about, name, status, p)
				}
			}
		}
		g.Close(t.Context())
	}
}

// Names that the server could not mean are refused when it starts.
func TestBadNames(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"grid.example", "ftp://grid.example", "https://", "https://grid.example/potluck", "https://ada@grid.example", "https://grid.example?x", "::"} {
		if err := (&Config{URL: url}).checkNames(); err == nil || !strings.Contains(err.Error(), "--url") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, host := range []string{"", "https://grid.example", "grid.example:80", "*.example", "192.0.2.7", "::1", "[::1]"} {
		if err := (&Config{Hosts: []string{host}}).checkNames(); err == nil || !strings.Contains(err.Error(), "--host") {
			t.Errorf("%s: %v", host, err)
		}
	}
}
