// Package web is the user interface: what Vite builds into dist, embedded.
// Without it, in a tree where Node never ran, there is one plain page.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed all:dist
var dist embed.FS

//go:embed plain.html
var plain []byte

// executorPolicy lets an executor run WebAssembly and nothing else: a worker is
// under the policy of its own response, and this one can make no request.
const executorPolicy = "default-src 'none'; script-src 'wasm-unsafe-eval'"

// What src/routes.ts knows: pages, and what has pages below it.
var (
	pages   = []string{"/", "/submit", "/jobs", "/grid", "/leaderboard", "/login", "/docs"}
	parents = []string{"/jobs/", "/docs/"}
)

// Handler serves the user interface.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is ours
	}
	index, err := fs.ReadFile(files, "index.html")
	if err != nil {
		return http.HandlerFunc(servePlain)
	}
	return &site{files: files, index: index}
}

func servePlain(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(plain) // the visitor may have gone
}

// A site is one page that draws itself for every path, and its assets.
type site struct {
	files fs.FS
	index []byte
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	info, err := fs.Stat(s.files, name)
	switch {
	case isPage(r.URL.Path):
		s.serve(w, r, "index.html")
	case err == nil && !info.IsDir() && !strings.HasPrefix(name, "."):
		s.serve(w, r, name)
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-cache")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write(s.index) // it says that there is no such page
	}
}

func isPage(p string) bool {
	parent, word := path.Split(p)
	return slices.Contains(pages, p) || word != "" && slices.Contains(parents, parent)
}

// serve serves a file, compressed if that is there and wanted. What lies in
// assets has the hash of its contents in its name.
func (s *site) serve(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("Vary", "Accept-Encoding")
	encoding, suffix := s.encoding(r, name)
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	data, err := fs.ReadFile(s.files, name+suffix)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		sum := sha256.Sum256(data)
		h.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
		h.Set("Cache-Control", "no-cache")
	}
	if strings.HasPrefix(name, "assets/executor-") {
		h.Set("Content-Security-Policy", executorPolicy)
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// encoding chooses among the compressed forms that there are of a file.
func (s *site) encoding(r *http.Request, name string) (encoding, suffix string) {
	for _, e := range []struct{ name, suffix string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if _, err := fs.Stat(s.files, name+e.suffix); err == nil && accepts(r, e.name) {
			return e.name, e.suffix
		}
	}
	return "", ""
}

func contentType(name string) string {
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/manifest+json" // the one file that Go has no name for
}

// accepts says whether a request takes an encoding (RFC 9110, section 12.5.3).
func accepts(r *http.Request, encoding string) bool {
	for item := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, q, _ := strings.Cut(strings.TrimSpace(item), ";")
		if strings.TrimSpace(name) == encoding {
			q = strings.ReplaceAll(q, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.000")
		}
	}
	return false
}
