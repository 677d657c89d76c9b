package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"potluck/client"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/truth"
	"potluck/web"
)

// artefacts is where pictures of the pages are kept after a run.
const artefacts = "../../artefacts/screenshots"

// axe finds what people with a screen reader or a keyboard would stumble over.
const axePath = "../../web/node_modules/axe-core/axe.min.js"

// A finding of axe.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

// Every page, on a desktop and on a phone, light and dark: axe has nothing
// serious to say, nothing is wider than the screen, and a picture is kept.
func TestPages(t *testing.T) {
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatal(err)
	}
	g := start(t)
	g.runner("Ada", "--slots", "2")
	picture := g.submit(client.NewJob{Program: "mandelbrot", Title: "A picture for the wall", Params: json.RawMessage(`{"width":1200,"height":900}`)})
	g.done(picture.ID)
	failed := g.submit(client.NewJob{Program: g.publish(wasmtest.Exit(3, "no luck today")), Input: client.Input{Split: "range:1:4"}})
	g.follow(failed.ID, func(*client.Job) bool { return false })
	running := g.submit(client.NewJob{Program: "weather", Policy: "strict:2"})
	g.follow(running.ID, func(j *client.Job) bool { return j.Tasks.Voting > 1 })
	b := newBrowser(t)
	for name, path := range map[string]string{
		"donate": "/", "submit": "/submit", "form": "/submit?program=weather", "jobs": "/jobs", "job-done": "/jobs/" + picture.ID,
		"job-failed": "/jobs/" + failed.ID, "job-running": "/jobs/" + running.ID, "grid": "/grid", "leaderboard": "/leaderboard",
		"docs": "/docs", "programs": "/docs/programs", "privacy": "/docs/privacy", "nowhere": "/nowhere",
	} {
		tab := b.open(g.URL + path)
		tab.expected = name == "nowhere" // it is not found
		tab.look(name, string(axe))
		tab.Close()
	}
}

// look looks at a page on a desktop and on a phone, light and dark.
func (t *tab) look(name, axe string) {
	t.t.Helper()
	for _, size := range [][2]int{{1280, 800}, {390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			t.must(t.Look(size[0], size[1], scheme))
			t.until("document.querySelector('h1') && !document.querySelector('[aria-busy=true]')")
			t.audit(fmt.Sprintf("%s-%d-%s", name, size[0], scheme), axe, size[0])
		}
	}
}

func (t *tab) audit(name, axe string, width int) {
	t.t.Helper()
	t.must(t.settle())
	png, err := t.Picture()
	t.must(err)
	t.must(os.MkdirAll(artefacts, 0o700))
	t.must(os.WriteFile(filepath.Join(artefacts, name+".png"), png, 0o600))
	if wide := read[int](t, "document.documentElement.scrollWidth"); wide > width {
		t.t.Errorf("%s: %d pixels wide on a screen of %d", name, wide, width)
	}
	read[bool](t, axe+"\ntrue")
	for _, f := range read[[]finding](t, `axe.run({resultTypes: ['violations']}).then((r) => r.violations)`) {
		if f.Impact == "serious" || f.Impact == "critical" {
			t.t.Errorf("%s: %s (%s): %s: %.300s", name, f.ID, f.Impact, f.Help, f.Nodes)
		}
	}
}

// settle waits until nothing moves: what is measured in the middle of a
// transition is nobody's colour.
func (t *tab) settle() error {
	return t.Until(`document.getAnimations().every((a) => a.playState !== 'running' || a.effect.getComputedTiming().iterations === Infinity)`)
}

// A person fills the form in, is told what is wrong, mends it, and watches the
// picture fill in, without touching a mouse.
func TestKeyboardJourney(t *testing.T) {
	g := start(t)
	b := newBrowser(t)
	donor := b.open(g.URL + "/")
	donor.tabTo("Start computing")
	donor.do(chromedp.KeyEvent(kb.Enter))
	donor.says("Ready, but there is no work")

	form := b.open(g.URL + "/submit")
	form.says("Mandelbrot set")
	form.tabTo("Mandelbrot set")
	form.do(chromedp.KeyEvent(kb.Enter))
	form.says("Steps until a point counts as inside the set")
	form.tabToField("Width")
	form.do(chromedp.KeyEvent("0"), chromedp.KeyEvent(kb.Enter))
	form.says("Something needs another look")
	form.until(`document.activeElement.innerText.includes("Something needs another look")`)
	for _, field := range []struct{ name, value string }{{"Width", "600"}, {"Height", "400"}, {"Iterations", "300"}} {
		form.tabToField(field.name)
		form.do(chromedp.KeyEvent(field.value))
	}
	form.do(chromedp.KeyEvent(kb.Enter))
	form.until(`location.pathname.startsWith("/jobs/")`)
	id := strings.TrimPrefix(read[string](form, "location.pathname"), "/jobs/")
	view := truth.Picture{Width: 600, Height: 400, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 300}
	if err := truth.CheckPicture(g.done(id), view); err != nil {
		t.Error(err)
	}
	form.until(`[...document.images].some((i) => i.naturalWidth === 600)`)
	form.says("100 %")
}

// tabTo presses the tabulator until the focus is on the button or link that is
// called so.
func (t *tab) tabTo(name string) {
	t.t.Helper()
	t.tabUntil(name, fmt.Sprintf(`document.activeElement.innerText.split("\n").some((line) => line.trim() === %q)`, name))
}

// tabToField presses the tabulator until the focus is in the field that is
// called so; its text is selected then.
func (t *tab) tabToField(name string) {
	t.t.Helper()
	t.tabUntil(name, fmt.Sprintf(`document.activeElement.labels?.[0]?.innerText.trim() === %q`, name))
}

func (t *tab) tabUntil(name, focused string) {
	t.t.Helper()
	t.says(name)
	for range 120 {
		t.do(chromedp.KeyEvent(kb.Tab))
		if read[bool](t, "!!("+focused+")") {
			return
		}
	}
	t.t.Fatalf("the tabulator never comes to %q", name)
}

// fill types a text into a field, in the place of what is there.
func (t *tab) fill(selector, text string) {
	t.t.Helper()
	t.until(fmt.Sprintf("document.querySelector(%q)", selector))
	read[bool](t, fmt.Sprintf("(document.querySelector(%q).focus(), document.activeElement.select(), true)", selector))
	t.do(chromedp.KeyEvent(text))
}

// Bad input in the form is refused at its field, before anything is sent.
func TestBadForm(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).open(g.URL + "/submit?program=primes")
	tab.expected = true // the server's refusals show in the console
	tab.says("Create the job")
	tab.fill("#params-to", "many")
	tab.press("Create the job")
	tab.says("Something needs another look")
	tab.until(`document.querySelector('#params-to').getAttribute('aria-invalid') === 'true'`)
	if jobs, err := g.ListJobsWithResponse(t.Context(), &client.ListJobsParams{}); err != nil || len(jobs.JSON200.Jobs) > 0 {
		t.Errorf("%v, %v", jobs, err)
	}
	tab.do(chromedp.Navigate(g.URL + "/submit?program=wordcount"))
	tab.press("Create the job")
	tab.says("Something needs another look")
}

// Anybody's program, of the size that a C compiler makes, goes from a file on
// disk to its result; one that asks for more than it may is refused by name,
// before it is sent.
func TestUpload(t *testing.T) {
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatal(err)
	}
	g := start(t)
	b := newBrowser(t)
	b.donate(g.URL)
	tab := b.open(g.URL + "/submit?program=own")
	tab.says("Choose a file")
	tab.do(chromedp.SetUploadFiles("input[type=file]", []string{file(t, "missiles.wasm", string(wasmtest.Import("env", "launch_missiles")))}))
	tab.says("launch_missiles")
	tab.says("Nothing was sent")
	tab.do(chromedp.SetUploadFiles("input[type=file]", []string{file(t, "echo.wasm", string(wasmtest.Echo()))}))
	tab.says("Create the job")
	read[any](tab, `[...document.querySelectorAll("summary")].find((s) => s.textContent.includes("What it is")).click()`)
	tab.look("upload", string(axe))
	tab.until(`document.querySelector('textarea#input-text')`)
	tab.fill("textarea#input-text", "one\ntwo\nthree")
	tab.press("Create the job")
	tab.until(`location.pathname.startsWith("/jobs/")`)
	id := strings.TrimPrefix(read[string](tab, "location.pathname"), "/jobs/")
	if got := string(g.done(id)); got != "one\ntwo\nthree" {
		t.Errorf("the result is %q", got)
	}
	tab.says("three")
}

// probe is a worker that tries to reach a canary in every way there is.
const probe = `
	const canary = %q, tried = [];
	const attempt = async (name, f) => { try { await f(); tried.push(name); } catch { /* what it should do */ } };
	await attempt('fetch', () => fetch(canary + '/fetch', { mode: 'no-cors' }));
	await attempt('XMLHttpRequest', () => new Promise((ok, no) => { const x = new XMLHttpRequest(); x.open('GET', canary + '/xhr'); x.onload = ok; x.onerror = no; x.send(); }));
	await attempt('WebSocket', () => new Promise((ok, no) => { const s = new WebSocket(canary.replace('http', 'ws') + '/socket'); s.onopen = ok; s.onerror = no; }));
	await attempt('EventSource', () => new Promise((ok, no) => { const s = new EventSource(canary + '/events'); s.onopen = ok; s.onerror = no; }));
	await attempt('import', () => import(canary + '/import.js'));
	await attempt('eval', () => (0, eval)('1'));
	await attempt('Function', () => new Function('1')());
	await attempt('wasm', () => WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])));
	postMessage(tried);
`

// What runs in an executor cannot reach the network, and can run WebAssembly;
// the same script without the policy can do both.
func TestExecutorReachesNothing(t *testing.T) {
	var reached atomic.Int64
	canary := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached.Add(1)
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}))
	t.Cleanup(canary.Close)
	script := "(async () => {" + fmt.Sprintf(probe, canary.URL) + "})()"
	policy := executorPolicy(t)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") })
	serve := func(path, policy string) {
		pages.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/javascript")
			if policy != "" {
				w.Header().Set("Content-Security-Policy", policy)
			}
			_, _ = w.Write([]byte(script))
		})
	}
	serve("/walled.js", policy)
	serve("/free.js", "")
	site := httptest.NewServer(pages)
	t.Cleanup(site.Close)
	tab := newBrowser(t).open(site.URL + "/")
	tab.expected = true // every attempt is an error in the console
	run := `new Promise((ok) => { const w = new Worker(%q, { type: 'module' }); w.onmessage = (e) => ok(e.data); })`
	walled := read[[]string](tab, fmt.Sprintf(run, "/walled.js"))
	if n := reached.Load(); n > 0 || len(walled) != 1 || walled[0] != "wasm" {
		t.Errorf("behind the policy it could do %q, and the canary saw %d requests", walled, n)
	}
	if free := read[[]string](tab, fmt.Sprintf(run, "/free.js")); reached.Load() == 0 || len(free) < 5 {
		t.Errorf("without the policy it could do %q only: the test sees nothing", free)
	}
}

// executorPolicy is the policy that the executor's script is served with.
func executorPolicy(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob("../../web/dist/assets/executor-*.js")
	if err != nil || len(files) != 1 {
		t.Fatalf("executors: %q, %v", files, err)
	}
	w := httptest.NewRecorder()
	web.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/assets/"+filepath.Base(files[0]), nil))
	policy := w.Header().Get("Content-Security-Policy")
	if w.Code != http.StatusOK || policy == "" {
		t.Fatalf("%d, policy %q", w.Code, policy)
	}
	return policy
}
