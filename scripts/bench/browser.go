package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"potluck/client"
	"potluck/contract"
	"potluck/sandbox"
	"potluck/scripts/chrome"
	"potluck/scripts/localgrid"
	"potluck/web"
)

// withTab measures something on a grid of its own whose only worker is a tab
// with so many cores.
func (b *bench) withTab(cores int, measure func(g *localgrid.Grid) error) error {
	return b.withGrid(func(g *localgrid.Grid) error {
		c, _, err := donate(g, cores)
		if err != nil {
			return err
		}
		defer c.Close()
		return measure(g)
	})
}

func (b *bench) withGrid(measure func(g *localgrid.Grid) error) error {
	data, err := os.MkdirTemp("", "potluck-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(data) //nolint:errcheck // a temporary folder
	g, err := localgrid.Start(b.bin, data)
	if err != nil {
		return err
	}
	defer g.Close()
	return measure(g)
}

// pressStart presses Start as soon as it is there.
const pressStart = `
	localStorage.setItem('potluck.donate', JSON.stringify({ cores: %d }));
	new MutationObserver((_, observer) => {
		const start = [...document.querySelectorAll('button')].find((b) => b.innerText.includes('Start computing'));
		if (start) { observer.disconnect(); start.click(); }
	}).observe(document, { childList: true, subtree: true });
`

// donate opens the page in a new browser and presses Start. begun is the time
// when the navigation began.
func donate(g *localgrid.Grid, cores int) (c *chrome.Browser, begun time.Time, err error) {
	if c, err = chrome.Start(); err != nil {
		return nil, begun, err
	}
	tab, err := c.Open()
	if err == nil {
		_, err = chromedp.Call(tab.Context(), page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
			Source: fmt.Sprintf(pressStart, cores),
		})
	}
	begun = time.Now()
	if err == nil {
		err = tab.Do(chromedp.Navigate(g.URL + "/"))
	}
	if err != nil {
		c.Close()
	}
	return c, begun, err
}

// firstTask measures from the navigation to the first task that is accepted, in
// a browser that was never here before.
func (b *bench) firstTask() error {
	var all []time.Duration
	for range 5 {
		err := b.withGrid(func(g *localgrid.Grid) error {
			module, err := g.Publish(b.ctx, echoModule)
			if err != nil {
				return err
			}
			job, err := g.Submit(b.ctx, client.NewJob{Program: module, Input: client.Input{Text: "hello"}})
			if err != nil {
				return err
			}
			c, begun, err := donate(g, 1)
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = g.Await(b.ctx, job.ID)
			all = append(all, time.Since(begun))
			return err
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(all)
	b.row("browser: navigation to the first finished task", fmt.Sprintf("%.2f s median", all[len(all)/2].Seconds()),
		fmt.Sprintf("%.2f to %.2f s", all[0].Seconds(), all[len(all)-1].Seconds()), "under 1.5 s")
	return nil
}

// tabEchoes measures tasks that cost nothing but the way to the tab and back.
func (b *bench) tabEchoes() error {
	return b.withTab(2, func(g *localgrid.Grid) error {
		module, err := g.Publish(b.ctx, echoModule)
		if err != nil {
			return err
		}
		n := int(20_000 * b.scale)
		upload, err := g.Upload(b.ctx, lines(n))
		if err != nil {
			return err
		}
		if _, _, err := g.Compute(b.ctx, client.NewJob{Program: module, Input: client.Input{Text: "warm up"}}); err != nil {
			return err
		}
		start := time.Now()
		_, _, err = g.Compute(b.ctx, client.NewJob{Program: module, Input: client.Input{Upload: upload}})
		b.row("browser: echo tasks, a tab with two executors", rate(n, time.Since(start)), "", "")
		return err
	})
}

// tabTenMillis measures tasks of about 10 ms in a tab with two executors against
// two executors of the same browser with no grid around them.
func (b *bench) tabTenMillis() error {
	tasks := int(600 * b.scale)
	_, err := b.againstBare("browser: tasks of about 10 ms, two executors", "sleeper", fmt.Appendf(nil, `{"tasks":%d,"work":%d}`, tasks, sleeperWork), 2, "at least 90 %")
	return err
}

// kernel measures a real program in one executor of a tab: what of the browser's
// speed the grid leaves to it, and what the browser leaves of native Go's.
func (b *bench) kernel() error {
	params := fmt.Appendf(nil, `{"to":%d}`, int(1_000_000_000*b.scale))
	p, err := b.againstBare("browser: primes, one executor", "primes", params, 1, "at least 97 %")
	if err != nil {
		return err
	}
	_, inputs, err := splitBuiltin(b.ctx, "primes", params)
	if err != nil {
		return err
	}
	native, err := runNative(b.ctx, "primes", inputs)
	if err != nil {
		return err
	}
	b.row("  the same natively", fmt.Sprintf("%.2f s", native.Seconds()), fmt.Sprintf("the browser takes %.2f × as long", p.bare.Seconds()/native.Seconds()), "")
	return nil
}

// againstBare computes a job in a tab, and its tasks in bare executors of the
// same make.
func (b *bench) againstBare(what, name string, params []byte, executors int, aim string) (p pair, err error) {
	module, inputs, err := splitBuiltin(b.ctx, name, params)
	if err != nil {
		return p, err
	}
	p, err = inPairs(
		func() (time.Duration, error) { return runInBrowser(module, inputs, executors) },
		func() (took time.Duration, err error) {
			err = b.withTab(executors, func(g *localgrid.Grid) error {
				took, err = b.inTab(g, name, params)
				return err
			})
			return took, err
		})
	if err == nil {
		b.row(what, p.share(), p.times(), aim)
	}
	return p, err
}

// inTab computes a job in a tab that has compiled its program before.
func (b *bench) inTab(g *localgrid.Grid, name string, params []byte) (time.Duration, error) {
	if _, _, err := g.Compute(b.ctx, client.NewJob{Program: name, Params: warmUps[name]}); err != nil {
		return 0, err
	}
	_, job, err := g.Compute(b.ctx, client.NewJob{Program: name, Params: params})
	if err != nil {
		return 0, err
	}
	return span(b.ctx, g, job)
}

// warmUps are jobs that have a tab compile a program.
var warmUps = map[string][]byte{"sleeper": []byte(`{"tasks":8,"work":1}`), "primes": []byte(`{"to":1000}`)}

// span is the time from the first lease of a job to its last accepted result.
func span(ctx context.Context, g *localgrid.Grid, job *client.Job) (time.Duration, error) {
	var first, last time.Time
	for cursor := ""; ; {
		answer, err := g.ListTasksWithResponse(ctx, job.ID, &client.ListTasksParams{Limit: 1000, Cursor: cursor})
		if err != nil || answer.JSON200 == nil {
			return 0, errors.Join(err, fmt.Errorf("the tasks of job %s", job.ID))
		}
		for _, t := range answer.JSON200.Tasks {
			if first.IsZero() || t.Lent.Before(first) {
				first = t.Lent
			}
			if t.Accepted.After(last) {
				last = t.Accepted
			}
		}
		if cursor = answer.JSON200.Next; cursor == "" {
			return last.Sub(first), nil
		}
	}
}

//go:embed bare.html
var barePage []byte

// runInBrowser runs the map stage of tasks in executors of a browser.
func runInBrowser(module []byte, inputs [][]byte, executors int) (time.Duration, error) {
	p, err := openBare(module, []string{string(contract.Map)}, inputs)
	if err != nil {
		return 0, err
	}
	defer p.close()
	return p.measure(executors)
}

// A bareTab is a page in a browser of its own that runs tasks when it is told to.
type bareTab struct {
	site    *httptest.Server
	browser *chrome.Browser
	tab     *chrome.Tab
}

func openBare(module []byte, args []string, inputs [][]byte) (p *bareTab, err error) {
	p = &bareTab{site: httptest.NewServer(barePages(module, args, inputs))}
	if p.browser, err = chrome.Start(); err != nil {
		p.site.Close()
		return nil, err
	}
	if p.tab, err = p.browser.Open(); err == nil {
		err = p.tab.Do(chromedp.Navigate(p.site.URL + "/bare"))
	}
	if err == nil {
		err = p.tab.Until("globalThis.measure")
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *bareTab) close() {
	p.browser.Close()
	p.site.Close()
}

// measure gives the time that all tasks take in so many executors.
func (p *bareTab) measure(executors int) (time.Duration, error) {
	millis, err := chrome.Read[float64](p.tab, fmt.Sprintf("measure(%d)", executors))
	return time.Duration(millis * float64(time.Millisecond)), err
}

func barePages(module []byte, args []string, inputs [][]byte) http.Handler {
	pages := http.NewServeMux()
	pages.Handle("/", web.Handler())
	pages.HandleFunc("GET /bare", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(barePage) // the browser shows it
	})
	pages.HandleFunc("GET /module", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/wasm")
		_, _ = w.Write(module) // it is compiled there
	})
	pages.HandleFunc("GET /tasks", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"executor": executorPath(), "tasks": bareTasks(module, args, inputs)}) // likewise
	})
	return pages
}

func bareTasks(module []byte, args []string, inputs [][]byte) (all []map[string]any) {
	for _, input := range inputs {
		t := sandbox.Task{Module: sandbox.Module{ID: sandbox.Hash(module)}, Args: args, Input: input}
		seed := t.Seed()
		all = append(all, map[string]any{
			"args": append([]string{contract.ProgramName}, t.Args...), "input": input, "limit": sandbox.DefaultOutput,
			"seedLow": uint32(seed), "seedHigh": uint32(seed >> 32), "profile": sandbox.Profile,
		})
	}
	return all
}

func executorPath() string {
	files, _ := filepath.Glob("web/dist/assets/executor-*.js") // without one the page says so
	return "/assets/" + filepath.Base(strings.Join(files, ""))
}

// runNative runs the map stage of a program of the catalogue as a native
// program, a task after the other.
func runNative(ctx context.Context, name string, inputs [][]byte) (time.Duration, error) {
	dir, err := os.MkdirTemp("", "potluck-native-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	native := filepath.Join(dir, name)
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", native, "./tasks/"+name).CombinedOutput(); err != nil { //nolint:gosec // our own program
		return 0, fmt.Errorf("build %s: %w: %s", name, err, out)
	}
	start := time.Now()
	for _, input := range inputs {
		c := exec.CommandContext(ctx, native, string(contract.Map)) //nolint:gosec // likewise
		c.Stdin = bytes.NewReader(input)
		if err := c.Run(); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// viewers measures what 500 people who watch a job cost it.
func (b *bench) viewers() error {
	n := int(300_000 * b.scale)
	alone, err := b.watched(n, 0)
	if err != nil {
		return err
	}
	watched, err := b.watched(n, manyViewers)
	if err != nil {
		return err
	}
	again, err := b.watched(n, 0)
	if err != nil {
		return err
	}
	usual := (alone + again) / 2
	b.row(fmt.Sprintf("echo tasks, watched by %d", manyViewers), rate(n, watched), fmt.Sprintf("%.1f %% of the rate without them", 100*usual.Seconds()/watched.Seconds()), "at least 90 %")
	return nil
}

const manyViewers = 500

// watched computes n echo tasks while so many streams of events are open.
func (b *bench) watched(n, viewers int) (time.Duration, error) {
	upload, err := b.grid.Upload(b.ctx, lines(n))
	if err != nil {
		return 0, err
	}
	job, err := b.grid.Submit(b.ctx, client.NewJob{Program: b.echo, Input: client.Input{Upload: upload}})
	if err != nil {
		return 0, err
	}
	var wait sync.WaitGroup
	errs := make([]error, viewers)
	for i := range viewers {
		wait.Go(func() { errs[i] = watch(b.ctx, b.grid.URL+"/api/v1/events?grid=false&job="+job.ID) })
	}
	if _, err := b.grid.Await(b.ctx, job.ID); err != nil {
		return 0, err
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	return span(b.ctx, b.grid, job)
}

// watch reads a stream of events to its end.
func watch(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && n == 0 {
		err = errors.New("a stream of events was empty")
	}
	return err
}
