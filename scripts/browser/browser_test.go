// Package browser tests what a person meets: the pages and the worker in a real
// browser, against real processes.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"potluck/sandbox/process"
	"potluck/scripts/localgrid"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

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
	for name, source := range map[string]string{"potluck": "potluck/server", "potluck-worker": "potluck/wasmworker"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), source).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
			return 1
		}
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

// A tab is one of a browser of its own, with a fresh profile.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // the browser's life

	mu       sync.Mutex
	console  []string // errors that the page has caused
	expected bool     // they are what the test is about
}

// chrome starts a browser.
func chrome(t *testing.T, options ...chromedp.ExecAllocatorOption) *tab {
	t.Helper()
	options = append(slices.Concat(chromedp.DefaultExecAllocatorOptions[:], options),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true), chromedp.WindowSize(1280, 900))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	b := &tab{t: t, ctx: ctx}
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // it may have died
		cancel()
		if errs := b.errors(); len(errs) > 0 && !b.expected {
			t.Errorf("the console has errors: %q", errs)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // it starts
		t.Fatalf("start Chromium (scripts/install.sh chromium): %v", err)
	}
	go b.listen()
	return b
}

// listen collects what goes wrong on the page.
func (b *tab) listen() {
	for m, err := range chromedp.Console(b.ctx) {
		if err != nil {
			return
		}
		if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
			b.mu.Lock()
			b.console = append(b.console, m.String()+" "+m.URL)
			b.mu.Unlock()
		}
	}
}

func (b *tab) errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.console
}

// do does things on the page within the patience.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// ask reads something of the page.
func ask[T any](b *tab, a chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// params writes JSON.
func params(format string, args ...any) []byte { return fmt.Appendf(nil, format, args...) }
