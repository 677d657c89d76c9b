package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"potluck/client"
)

// artefacts is where pictures of the pages are kept after a run.
const artefacts = "../../artefacts/screenshots"

func TestLook(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	mandelbrot := g.submit(client.NewJob{Program: "mandelbrot", Params: params(`{"width":2048,"height":2048,"iterations":3000}`)})
	g.submit(client.NewJob{Program: "primes"})
	g.submit(client.NewJob{Program: "sleeper", Policy: "strict:2", Params: params(`{"tasks":100}`)})
	g.follow(mandelbrot.ID, func(j *client.Job) bool { return j.Tasks.Done > 20 })
	b := newBrowser(t)
	if err := os.MkdirAll(artefacts, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"/", "/submit", "/submit?program=mandelbrot", "/jobs", "/jobs/" + mandelbrot.ID, "/grid", "/leaderboard", "/docs", "/docs/programs", "/nowhere"} {
		tab := b.open(g.URL + p)
		tab.expected = p == "/nowhere"
		for _, size := range [][2]int{{1280, 800}, {390, 844}} {
			for _, scheme := range []string{"light", "dark"} {
				tab.must(tab.Look(size[0], size[1], scheme))
				tab.until("!document.querySelector('[aria-busy=true]')")
				png, err := tab.Picture()
				tab.must(err)
				name := filepath.Join(artefacts, fmt.Sprintf("%s-%d-%s.png", filepath.Base(p), size[0], scheme))
				if err := os.WriteFile(name, png, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		tab.do(chromedp.EmulateReset())
	}
}
