package browser

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"potluck/client"
	"potluck/wire"
)

// A road is what lies between a browser and the grid. It can be closed, and it
// knows what went along.
type road struct {
	*httptest.Server
	closed atomic.Bool
	work   http.HandlerFunc // for workers, instead of the grid
	damage atomic.Bool      // programs arrive with other bytes
	bytes  atomic.Int64     // of all answers

	mu    sync.Mutex
	paths []string
	conns []net.Conn
}

// went gives the paths asked for that have one of these in them.
func (r *road) went(parts ...string) (paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.paths {
		if slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(p, part) }) {
			paths = append(paths, p)
		}
	}
	return paths
}

// A counter counts the bytes of an answer.
type counter struct {
	http.ResponseWriter
	sum *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sum.Add(int64(n))
	return n, err
}

// Unwrap lets a socket take the connection over.
func (c counter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the grid compares it with the Origin
		},
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		FlushInterval: -1,
	}
	r := &road{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.paths = append(r.paths, req.URL.Path)
		r.mu.Unlock()
		switch {
		case r.closed.Load():
			panic(http.ErrAbortHandler)
		case r.work != nil && req.URL.Path == wire.SocketPath:
			r.work(w, req)
		case r.damage.Load() && strings.HasPrefix(req.URL.Path, "/api/v1/modules/"):
			_, _ = w.Write([]byte("not what was asked for")) // the browser may be gone
		default:
			proxy.ServeHTTP(counter{w, &r.bytes}, req)
		}
	}))
	r.Listener = &lane{Listener: r.Listener, road: r}
	r.Start()
	t.Cleanup(func() { r.cut(); r.Close() })
	return r
}

// A lane remembers connections, for cutting sockets too.
type lane struct {
	net.Listener
	road *road
}

func (l *lane) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.road.mu.Lock()
		l.road.conns = append(l.road.conns, conn)
		l.road.mu.Unlock()
	}
	return conn, err
}

func (r *road) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close() // it may be closed already
	}
	r.conns = nil
}

// close cuts all connections and lets no new ones through.
func (r *road) close() {
	r.closed.Store(true)
	r.cut()
}

func (r *road) open() { r.closed.Store(false) }

// file writes a file for a test.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// token makes a token of a role, on a grid that is open.
func (g *grid) token(role client.Role) string {
	g.t.Helper()
	answer, err := g.CreateTokenWithResponse(g.t.Context(), client.NewToken{Role: role})
	if err != nil || answer.JSON201 == nil {
		g.t.Fatalf("make a token: %v, %s", err, answer.Body)
	}
	return answer.JSON201.Token
}
