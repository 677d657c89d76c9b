// Package chrome drives Chromium, for tests in a real browser and for pictures
// of the pages.
package chrome

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Patience is how long what must come may take.
const Patience = 3 * time.Minute

// A Browser is one process with a fresh profile.
type Browser struct {
	ctx    context.Context //nolint:containedctx // the browser's life
	cancel func()
}

// A Tab is a page of a browser.
type Tab struct {
	ctx    context.Context //nolint:containedctx // the tab's life
	cancel func()

	mu     sync.Mutex
	errors []string
}

// Start starts a browser. Timers of hidden tabs are slowed down as they are for
// everybody.
func Start() (*Browser, error) {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-background-timer-throttling", false), chromedp.Flag("disable-backgrounding-occluded-windows", false),
		chromedp.Flag("disable-renderer-backgrounding", false), chromedp.Flag("disable-quic", true))
	ctx, end := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	b := &Browser{ctx: ctx, cancel: func() { cancel(); end() }}
	if err := chromedp.Do(ctx); err != nil {
		b.cancel()
		return nil, fmt.Errorf("start Chromium (make test installs it): %w", err)
	}
	return b, nil
}

// Close ends the browser and all its tabs.
func (b *Browser) Close() {
	_ = chromedp.Cancel(b.ctx) // it may have died
	b.cancel()
}

// Open opens a tab.
func (b *Browser) Open() (*Tab, error) {
	t := &Tab{}
	t.ctx, t.cancel = chromedp.NewContext(b.ctx)
	if err := chromedp.Do(t.ctx); err != nil {
		return nil, err
	}
	console := chromedp.Console(t.ctx)
	go func() {
		for m, err := range console {
			if err != nil {
				return
			}
			t.note(m)
		}
	}()
	return t, nil
}

// Close closes the tab.
func (t *Tab) Close() {
	_ = chromedp.Cancel(t.ctx) // it may be closed already
	t.cancel()
}

func (t *Tab) note(m chromedp.ConsoleMessage) {
	if m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleException {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errors = append(t.errors, m.String()+" "+m.URL)
}

// Errors is what went wrong on the tab's pages so far: exceptions, and errors
// in the console.
func (t *Tab) Errors() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.errors)
}

// Context is the tab for chromedp's own functions.
func (t *Tab) Context() context.Context { return t.ctx }

// Do does things on the page.
func (t *Tab) Do(steps ...chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Do(ctx, steps...)
}

// Read evaluates an expression, or awaits it if it is a promise.
func Read[T any](t *Tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Until waits until an expression is true.
func (t *Tab) Until(expression string) error {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	_, err := chromedp.Run(ctx, chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingInterval(50*time.Millisecond)))
	if err != nil {
		return fmt.Errorf("wait for %s: %w", expression, err)
	}
	return nil
}

// Says waits until the page shows a text.
func (t *Tab) Says(text string) error {
	return t.Until("document.body.innerText.includes(" + strconv.Quote(text) + ")")
}

// Press presses the button, or follows the link, that is called so.
func (t *Tab) Press(name string) error {
	find := fmt.Sprintf(`[...document.querySelectorAll('button, a, summary')].find((e) =>
		(e.getAttribute('aria-label') ?? e.innerText).trim() === %q && e.checkVisibility() && !e.disabled)`, name)
	if err := t.Until("!!" + find); err != nil {
		return err
	}
	_, err := Read[bool](t, "("+find+".click(), true)")
	return err
}

// Look shows the page as on a screen of this size, in a colour scheme: light or
// dark.
func (t *Tab) Look(width, height int, scheme string) error {
	return t.Do(chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// Picture takes a picture of the whole page as PNG.
func (t *Tab) Picture() ([]byte, error) {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.FullScreenshot(100))
}
