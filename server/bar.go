package main

import (
	"fmt"
	"os"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// A bar shows progress on stderr: a bar on a terminal, a line every tenth of
// the way elsewhere.
type bar struct {
	mu     sync.Mutex
	title  string
	total  int
	tenths int
	reason string
	quiet  bool
	pool   *mpb.Progress // nil without a terminal
	bar    *mpb.Bar
}

func newBar(title string, total int, quiet bool) *bar {
	b := &bar{title: title, quiet: quiet}
	if !quiet && isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" {
		b.pool = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(50))
	}
	b.of(total)
	return b
}

// of says how many tasks there are.
func (b *bar) of(total int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.total == total {
		return
	}
	b.total = total
	if b.pool != nil && b.bar == nil {
		b.bar = b.pool.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(b.title+" "), decor.CountersNoUnit("%d/%d")),
			mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO)))
	}
}

// set says how many are done, and why nothing moves if nothing does.
func (b *bar) set(done int, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		b.bar.SetCurrent(int64(done))
		return
	}
	if b.quiet || b.total == 0 {
		return
	}
	if reason != b.reason && reason != "" {
		fmt.Fprintf(os.Stderr, "%s: %s\n", b.title, reason)
	}
	b.reason = reason
	if tenths := 10 * done / b.total; tenths > b.tenths {
		b.tenths = tenths
		fmt.Fprintf(os.Stderr, "%s: %d of %d tasks\n", b.title, done, b.total)
	}
}

// end leaves the bar as it is.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil && !b.bar.Completed() {
		b.bar.Abort(false)
	}
	if b.pool != nil {
		b.pool.Wait()
	}
}
