package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

// A built site, in small.
func built() *site {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	return &site{index: []byte("<!doctype html>"), files: fstest.MapFS{
		"index.html": file("<!doctype html>"), "manifest.webmanifest": file("{}"), ".vite/manifest.json": file("{}"),
		"assets/page-1.js": file("plain"), "assets/page-1.js.br": file("brotli"), "assets/page-1.js.gz": file("gzip"),
		"assets/agent-1.wasm": file("\x00asm"), "assets/executor-1.js": file("compute"),
	}}
}

func get(path, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept-Encoding", accept)
	w := httptest.NewRecorder()
	built().ServeHTTP(w, r)
	return w
}

// Every path of the pages gives the one page; others say 404 with it.
func TestPages(t *testing.T) {
	for path, status := range map[string]int{
		"/": 200, "/submit": 200, "/jobs": 200, "/jobs/33l": 200, "/docs/protocol": 200, "/grid": 200, "/leaderboard": 200, "/login": 200,
		"/jobs/": 404, "/jobs/33l/more": 404, "/nowhere": 404, "/assets/page-2.js": 404, "/.vite/manifest.json": 404, "/assets": 404, "/../embed.go": 404,
	} {
		if w := get(path, ""); w.Code != status || w.Body.String() != "<!doctype html>" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %v, %q", path, w.Code, w.Header(), w.Body)
		}
	}
}

// What is compressed already is served so to those who take it.
func TestEncodings(t *testing.T) {
	for accept, want := range map[string]string{
		"": "plain", "identity": "plain", "gzip": "gzip", "gzip, deflate, br": "brotli", "br;q=0, gzip": "gzip", "br; q=0.000, gzip;q=0": "plain", "BROTLI": "plain",
	} {
		w := get("/assets/page-1.js", accept)
		if w.Body.String() != want || w.Header().Get("Vary") != "Accept-Encoding" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
			t.Errorf("%q: %q, %v", accept, w.Body, w.Header())
		}
	}
}

// What has a hash in its name never changes; the rest is asked for again and
// answered briefly.
func TestCaching(t *testing.T) {
	for path, want := range map[string]string{"/assets/agent-1.wasm": "immutable", "/": "no-cache", "/manifest.webmanifest": "no-cache"} {
		if got := get(path, "").Header().Get("Cache-Control"); !strings.Contains(got, want) {
			t.Errorf("%s: %q", path, got)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("If-None-Match", get("/", "").Header().Get("ETag"))
	w := httptest.NewRecorder()
	if built().ServeHTTP(w, r); w.Code != http.StatusNotModified {
		t.Errorf("the same page again: %d", w.Code)
	}
}

// The executor's script has a policy of its own; nothing else has.
func TestExecutorPolicy(t *testing.T) {
	if got := get("/assets/executor-1.js", "br").Header().Get("Content-Security-Policy"); got != executorPolicy {
		t.Errorf("the executor's: %q", got)
	}
	if got := get("/assets/page-1.js", "br").Header().Get("Content-Security-Policy"); got != "" {
		t.Errorf("a page's: %q", got)
	}
}

// A tree without built pages has a plain one.
func TestPlainPage(t *testing.T) {
	for path, status := range map[string]int{"/": 200, "/jobs": 404} {
		w := httptest.NewRecorder()
		servePlain(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
