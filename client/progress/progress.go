// Package progress shows people how far jobs are: bars on a terminal, and a
// line every tenth of the way elsewhere.
package progress

import (
	"fmt"
	"os"
	"sync"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"potluck/client/terminal"
)

// A View is what one command shows, on stderr. Its methods, and those of its
// bars, may be called from any goroutine.
type View struct {
	quiet bool
	pool  *mpb.Progress // nil without a terminal
	width int
}

// New makes a view; a quiet one shows nothing. Titles are as wide as width.
func New(quiet bool, width int) *View {
	v := &View{quiet: quiet, width: width}
	if !quiet && isatty.IsTerminal(os.Stderr.Fd()) && os.Getenv("TERM") != "dumb" {
		v.pool = mpb.New(mpb.WithOutput(os.Stderr), mpb.WithWidth(50))
	}
	return v
}

// Wait leaves all bars as they are.
func (v *View) Wait() {
	if v.pool != nil {
		v.pool.Wait()
	}
}

// A Bar shows one job.
type Bar struct {
	view   *View
	title  string
	mu     sync.Mutex
	total  int
	tenths int
	reason string
	bar    *mpb.Bar
}

// Bar adds a bar.
func (v *View) Bar(title string) *Bar { return &Bar{view: v, title: title} }

// Set says how many of how many tasks are done, and why nothing moves if
// nothing does.
func (b *Bar) Set(done, total int, reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if total <= 0 || b.view.quiet {
		return
	}
	b.total = total
	if b.view.pool == nil {
		b.line(done, reason)
		return
	}
	if b.bar == nil {
		b.bar = b.view.pool.AddBar(int64(total),
			mpb.PrependDecorators(decor.Name(b.title+" ", decor.WC{W: b.view.width + 1, C: decor.DindentRight}), decor.CountersNoUnit("%d/%d", decor.WCSyncSpace)),
			mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.Name(" "), decor.Elapsed(decor.ET_STYLE_GO)))
	}
	b.bar.SetCurrent(int64(done))
}

func (b *Bar) line(done int, reason string) {
	if reason != b.reason && reason != "" {
		fmt.Fprintf(terminal.Err, "%s: %s\n", b.title, reason)
	}
	b.reason = reason
	if tenths := 10 * done / b.total; tenths > b.tenths {
		b.tenths = tenths
		fmt.Fprintf(terminal.Err, "%s: %d of %d tasks\n", b.title, done, b.total)
	}
}

// End says that the bar goes no further.
func (b *Bar) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil && !b.bar.Completed() {
		b.bar.Abort(false)
	}
}
