// Package web is the user interface: what Vite builds into dist, embedded.
// Without it, in a tree where Node never ran, there is one plain page.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed all:dist
var dist embed.FS

//go:embed plain.html
var plain []byte

// Handler serves the user interface.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err == nil {
		if _, err := fs.Stat(files, "index.html"); err == nil {
			return http.FileServerFS(files)
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(plain) // the visitor may have gone
	})
}
