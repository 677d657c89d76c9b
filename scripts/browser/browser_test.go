// Package browser tests what a person meets: the pages and the worker in a real
// browser, against real processes.
package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"potluck/client"
	"potluck/sandbox/process"
	"potluck/scripts/chrome"
	"potluck/scripts/localgrid"
)

// patience is how long a test waits for what must come.
const patience = chrome.Patience

var bin, cache string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if process.IsExecutor() {
		if err := process.Main(); err != nil {
			panic(err)
		}
		return 0
	}
	if files, _ := filepath.Glob("../../web/dist/assets/agent-*.wasm"); len(files) == 0 {
		fmt.Fprintln(os.Stderr, "the pages were never built: make web does it")
		return 1
	}
	dir, err := os.MkdirTemp("", "potluck-browser-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	bin, cache = filepath.Join(dir, "bin"), filepath.Join(dir, "cache")
	if err := localgrid.Build(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A grid is a server and runners that end with the test.
type grid struct {
	*localgrid.Grid
	t *testing.T
}

func start(t *testing.T, args ...string) *grid {
	t.Helper()
	g, err := localgrid.Start(bin, t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			t.Logf("the server's log:\n%s", g.Server.Log)
		}
	})
	return &grid{g, t}
}

// A tab fails the test when something cannot be done in it, or when its console
// has errors that the test does not expect.
type tab struct {
	*chrome.Tab
	t        *testing.T
	expected bool // errors in the console
}

// A browser ends with the test.
type browser struct {
	*chrome.Browser
	t *testing.T
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	b, err := chrome.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &browser{b, t}
}

// open opens a page in a new tab.
func (b *browser) open(url string) *tab {
	b.t.Helper()
	opened, err := b.Open()
	if err != nil {
		b.t.Fatal(err)
	}
	t := &tab{Tab: opened, t: b.t}
	b.t.Cleanup(func() {
		if errs := t.Errors(); len(errs) > 0 && !t.expected {
			b.t.Errorf("the console has errors: %q", errs)
		}
		if b.t.Failed() {
			text, _ := chrome.Read[string](opened, "document.body.innerText")
			b.t.Logf("the page says: %.3000s", text)
		}
		t.Close()
	})
	t.do(chromedp.Navigate(url))
	return t
}

// must fails the test.
func (t *tab) must(err error) {
	t.t.Helper()
	if err != nil {
		t.t.Fatal(err)
	}
}

func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) { t.t.Helper(); t.must(t.Do(steps...)) }
func (t *tab) press(name string)                          { t.t.Helper(); t.must(t.Press(name)) }
func (t *tab) says(text string)                           { t.t.Helper(); t.must(t.Says(text)) }
func (t *tab) until(expression string)                    { t.t.Helper(); t.must(t.Until(expression)) }

func read[T any](t *tab, expression string) T {
	t.t.Helper()
	v, err := chrome.Read[T](t.Tab, expression)
	t.must(err)
	return v
}

// runner starts a runner with one slot, unless told otherwise.
func (g *grid) runner(name string, args ...string) *localgrid.Process {
	g.t.Helper()
	p, err := g.Worker(append([]string{"--name", name, "--slots", "1", "--cache", filepath.Join(cache, name)}, args...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

func (g *grid) submit(j client.NewJob) *client.Job {
	g.t.Helper()
	created, err := g.Submit(g.t.Context(), j)
	if err != nil {
		g.t.Fatal(err)
	}
	return created
}

// follow reads a job's events until one is as wanted.
func (g *grid) follow(id string, wanted func(*client.Job) bool) *client.Job {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	j, err := g.Follow(ctx, id, wanted)
	if err != nil {
		g.t.Fatal(err)
	}
	return j
}

// done waits for a job to be done and gives its result.
func (g *grid) done(id string) []byte {
	g.t.Helper()
	if j := g.follow(id, func(*client.Job) bool { return false }); j.State != client.JobStateDone {
		g.t.Fatalf("the job is %s: %s, %+v", j.State, j.Reason, j.Failures)
	}
	data, err := g.Result(g.t.Context(), id)
	if err != nil {
		g.t.Fatal(err)
	}
	return data
}
