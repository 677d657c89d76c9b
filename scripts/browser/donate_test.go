package browser

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"potluck/client"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/truth"
	"potluck/wire"
)

// donate opens the page and presses Start.
func (b *browser) donate(url string) *tab {
	b.t.Helper()
	t := b.open(url + "/")
	t.press("Start computing")
	return t
}

// Nothing is fetched or run before Start: no worker, no socket, no stream, not
// the agent. What comes before and after is small.
func TestConsent(t *testing.T) {
	g := start(t)
	net := newRoad(t, g.URL)
	tab := newBrowser(t).open(net.URL + "/")
	tab.says("Nothing runs before you press Start")
	time.Sleep(10 * time.Second) // the promise is about time: it is what is tested
	if went := net.went("/api/v1/work", "/assets/agent-", "/assets/worker-", "/assets/executor-", "events"); len(went) > 0 || tab.workers() > 0 {
		t.Errorf("before Start: %d workers, %q", tab.workers(), went)
	}
	before := net.bytes.Load()
	if before > 150_000 {
		t.Errorf("before Start the page took %d bytes; 150,000 are allowed", before)
	}
	tab.press("Start computing")
	tab.says("Ready, but there is no work")
	if went := net.went("/api/v1/work", "/assets/agent-", "/assets/worker-", "/assets/executor-"); len(went) != 4 || tab.workers() == 0 {
		t.Errorf("after Start: %d workers, %q: the test sees too little", tab.workers(), went)
	}
	after := net.bytes.Load() - before
	if after > 1_600_000 {
		t.Errorf("after Start the page took %d bytes; 1,600,000 are allowed", after)
	}
	t.Logf("%d bytes before Start, %d after it", before, after)
}

// workers counts the workers of the browser.
func (t *tab) workers() (n int) {
	t.t.Helper()
	targets, err := chromedp.Targets(t.Context())
	t.must(err)
	for _, target := range targets {
		if strings.Contains(target.Type, "worker") {
			n++
		}
	}
	return n
}

// A tab computes a job by itself, and the picture is right to the pixel.
func TestTabComputes(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).donate(g.URL)
	view := truth.Picture{Width: 1024, Height: 700, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 500}
	wanted, err := json.Marshal(view)
	if err != nil {
		t.Fatal(err)
	}
	j := g.submit(client.NewJob{Program: "mandelbrot", Params: wanted})
	if err := truth.CheckPicture(g.done(j.ID), view); err != nil {
		t.Error(err)
	}
	tab.until(`document.body.innerText.match(/12\s+validated|Validated\s+12/i)`)
	tab.press("Stop")
	tab.says("Nothing is running any more")
}

// A browser and a headless runner are two volunteers who agree, byte for byte,
// on programs of every kind: with records, floats, randomness and pictures.
func TestQuorumOfBrowserAndRunner(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	newBrowser(t).donate(g.URL)
	if err := g.Establish(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	jobs := map[string]*client.Job{}
	for program, params := range map[string]string{
		"square": `{"numbers":[3,-4,50000]}`, "pi": `{"samples":2000000}`, "nqueens": `{"n":9}`, "mandelbrot": `{"width":300,"height":300}`,
		"weather":  `{"members":4,"batch":2,"columns":32,"days":2,"perturbation":2,"jet":50,"seed":1}`,
		"lorenz96": `{}`,
	} {
		if program == "lorenz96" {
			continue // by far the longest; weather has as many floats
		}
		jobs[program] = g.submit(client.NewJob{Program: program, Params: json.RawMessage(params), Policy: "strict:2"})
	}
	for program, j := range jobs {
		result := g.done(j.ID)
		if program == "square" && string(bytes.TrimSpace(result)) != "[9,16,2500000000]" {
			t.Errorf("square: %s", result)
		}
		page, err := g.ListTasksWithResponse(t.Context(), j.ID, &client.ListTasksParams{})
		if err != nil || page.JSON200 == nil {
			t.Fatalf("%v, %v", page, err)
		}
		for _, task := range page.JSON200.Tasks {
			if len(task.Volunteers) != 2 || task.Dissents > 0 {
				t.Errorf("%s, task %d: %+v", program, task.Task, task)
			}
		}
	}
}

// A tab that is closed loses nothing: what it had goes to others at once.
func TestTabClosed(t *testing.T) {
	g := start(t)
	b := newBrowser(t)
	tab := b.donate(g.URL)
	j := g.submit(client.NewJob{Program: "sleeper", Params: json.RawMessage(`{"tasks":12,"work":1500}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent > 0 })
	tab.Close()
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 0 })
	g.runner("Ada")
	g.done(j.ID)
}

// A tab that is reloaded waits for consent again, as the same volunteer.
func TestTabReloaded(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).donate(g.URL)
	j := g.submit(client.NewJob{Program: "sleeper", Params: json.RawMessage(`{"tasks":6,"work":1000}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 0 })
	before := g.volunteers()
	tab.do(chromedp.Reload())
	tab.press("Start computing")
	g.done(j.ID)
	if after := g.volunteers(); len(before) != 1 || len(after) != 1 || before[0] != after[0] {
		t.Errorf("volunteers: %v, then %v", before, after)
	}
}

func (g *grid) volunteers() (all []string) {
	g.t.Helper()
	answer, err := g.ListWorkersWithResponse(g.t.Context())
	if err != nil || answer.JSON200 == nil {
		g.t.Fatalf("%v, %v", answer, err)
	}
	for _, w := range *answer.JSON200 {
		all = append(all, w.Volunteer)
	}
	return all
}

// A server that is killed and comes back finds the tab again, with what it has
// computed meanwhile.
func TestServerKilled(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).donate(g.URL)
	tab.expected = true // connections are refused
	j := g.submit(client.NewJob{Program: "sleeper", Params: json.RawMessage(`{"tasks":12,"work":1000}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 1 })
	g.Server.Kill()
	tab.says("The grid cannot be reached")
	if err := g.Serve(); err != nil {
		t.Fatal(err)
	}
	g.done(j.ID)
}

// The network goes and comes back; the page says so, and how long it waits.
func TestOffline(t *testing.T) {
	g := start(t)
	net := newRoad(t, g.URL)
	tab := newBrowser(t).donate(net.URL)
	tab.expected = true
	j := g.submit(client.NewJob{Program: "sleeper", Params: json.RawMessage(`{"tasks":10,"work":800}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 1 })
	net.close()
	tab.says("The grid cannot be reached")
	tab.until(`/Next try in|Trying again/.test(document.body.innerText)`)
	net.open()
	g.done(j.ID)
}

// A program that never ends is terminated in its time; the slot goes on with
// other work.
func TestEndlessLoop(t *testing.T) {
	g := start(t, "--task-time", "1s")
	newBrowser(t).donate(g.URL)
	spin := g.submit(client.NewJob{Program: g.publish(wasmtest.Spin()), Input: client.Input{Split: "range:1:1"}})
	j := g.follow(spin.ID, func(*client.Job) bool { return false })
	if j.State != client.JobStateFailed || !strings.Contains(j.Reason, "ran longer than") {
		t.Errorf("%s: %s", j.State, j.Reason)
	}
	echo := g.submit(client.NewJob{Program: g.publish(wasmtest.Echo()), Input: client.Input{Text: "still here\n"}})
	if got := g.done(echo.ID); string(got) != "still here\n" {
		t.Errorf("after the endless loop: %q", got)
	}
}

func (g *grid) publish(module []byte) string {
	g.t.Helper()
	id, err := g.Publish(g.t.Context(), module)
	if err != nil {
		g.t.Fatal(err)
	}
	return id
}

// Programs that eat memory, trap or write too much fail for themselves only.
func TestRunaways(t *testing.T) {
	g := start(t, "--task-output", "65536", "--task-memory", "67108864")
	newBrowser(t).donate(g.URL)
	for name, c := range map[string]struct {
		module []byte
		says   string
	}{
		"flood": {wasmtest.Flood(), "more than 65536 bytes"}, "trap": {wasmtest.Trap(), "stopped"},
		"recursion": {wasmtest.Recurse(), "stopped"}, "exit": {wasmtest.Exit(7, "no luck"), "code 7"},
	} {
		j := g.submit(client.NewJob{Program: g.publish(c.module), Input: client.Input{Split: "range:1:1"}})
		if j = g.follow(j.ID, func(*client.Job) bool { return false }); j.State != client.JobStateFailed || !strings.Contains(j.Reason, c.says) {
			t.Errorf("%s: %s, %s", name, j.State, j.Reason)
		}
	}
	hog := g.submit(client.NewJob{Program: g.publish(wasmtest.Hog()), Input: client.Input{Split: "range:1:1"}})
	if got := g.done(hog.ID); len(got) != 4 || got[1] > 4 {
		t.Errorf("the glutton got %x pages", got)
	}
}

// A program that arrives damaged is the trouble of the road to the tab: the page
// says so, the job loses nothing by it, and all goes on when the road is mended.
func TestDamagedProgramCostsTheJobNothing(t *testing.T) {
	axe, err := os.ReadFile(axePath)
	if err != nil {
		t.Fatal(err)
	}
	g := start(t)
	r := newRoad(t, g.URL)
	r.damage.Store(true)
	tab := newBrowser(t).donate(r.URL)
	j := g.submit(client.NewJob{Program: "square"})
	read[any](tab, `[...document.querySelectorAll("summary")].find((s) => s.textContent.includes("Log")).click()`)
	tab.says("went back, because what it needs is missing")
	tab.look("donate-log", string(axe))
	if j := g.follow(j.ID, func(*client.Job) bool { return true }); j.State != client.JobStateRunning {
		t.Errorf("beside a tab in trouble the job is %s: %s", j.State, j.Reason)
	}
	r.damage.Store(false)
	g.done(j.ID)
}

// An output of 16 MiB goes by HTTP, like its input.
func TestLargeOutput(t *testing.T) {
	g := start(t)
	newBrowser(t).donate(g.URL)
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	upload, err := g.Upload(t.Context(), large)
	if err != nil {
		t.Fatal(err)
	}
	j := g.submit(client.NewJob{Program: g.publish(wasmtest.Echo()), Input: client.Input{Upload: upload, Split: "bytes:16777216"}})
	if got := g.done(j.ID); !bytes.Equal(got, large) {
		t.Errorf("%d bytes came back", len(got))
	}
}

// One agent a browser is enough: a second tab says so, and takes over when the
// first one stops.
func TestSecondTab(t *testing.T) {
	g := start(t)
	b := newBrowser(t)
	first := b.donate(g.URL)
	first.says("Ready, but there is no work")
	second := b.donate(g.URL)
	second.says("Another tab is already computing")
	second.press("Start when it stops")
	first.press("Stop")
	first.says("Nothing is running any more")
	second.says("Ready, but there is no work")
}

// Pause lets nothing begin, resume goes on, and finish ends by itself.
func TestPauseAndFinish(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).donate(g.URL)
	j := g.submit(client.NewJob{Program: "sleeper", Params: json.RawMessage(`{"tasks":60,"work":800}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 0 })
	tab.press("Pause")
	tab.says("You paused it")
	done := g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 0 }).Tasks.Done
	if done == 60 {
		t.Error("a pause that came when all was done")
	}
	tab.press("Resume")
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > done && j.Tasks.Lent > 0 })
	tab.press("Finish current tasks, then stop")
	tab.says("Nothing is running any more")
	if last := g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 0 }); last.State.Final() {
		t.Errorf("it finished the whole job: %+v", last.Tasks)
	}
}

// A tab that the browser freezes says so when it is back, and goes on.
func TestFrozenTab(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).donate(g.URL)
	tab.expected = true // the browser cuts the socket
	tab.says("Ready, but there is no work")
	for _, state := range []page.SetWebLifecycleStateState{page.SetWebLifecycleStateStateFrozen, page.SetWebLifecycleStateStateActive} {
		if _, err := chromedp.Call(tab.Context(), page.SetWebLifecycleState, page.SetWebLifecycleStateParams{State: state}); err != nil {
			t.Fatal(err)
		}
	}
	j := g.submit(client.NewJob{Program: "square"})
	g.done(j.ID)
}

// A browser without WebAssembly is told so, instead of a button that does
// nothing.
func TestUnsupported(t *testing.T) {
	g := start(t)
	tab := newBrowser(t).open("about:blank")
	if _, err := chromedp.Call(tab.Context(), page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: "delete globalThis.WebAssembly",
	}); err != nil {
		t.Fatal(err)
	}
	tab.do(chromedp.Navigate(g.URL + "/"))
	tab.says("This browser cannot take part")
	if read[bool](tab, `document.body.innerText.includes("Start computing")`) {
		t.Error("there is a Start that cannot work")
	}
}

// Refusals have words and a way on.
func TestRefused(t *testing.T) {
	for code, says := range map[string]string{wire.CodeProtocol: "Reload the page", wire.CodeToken: "Whoever runs it can give you one"} {
		t.Run(code, func(t *testing.T) {
			g := start(t)
			net := newRoad(t, g.URL)
			net.work = refuse(code)
			newBrowser(t).donate(net.URL).says(says)
		})
	}
}

// refuse answers workers with a refusal.
func refuse(code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		data, _ := wire.Encode(wire.ToWorker{Refused: &wire.Refused{Code: code, Reason: "because"}})
		_, _, _ = conn.Read(r.Context()) // the hello
		_ = conn.Write(r.Context(), websocket.MessageBinary, data)
		_ = conn.Close(websocket.StatusPolicyViolation, code)
	}
}

// Something between the page and the grid lets no WebSocket through.
func TestBlockedSocket(t *testing.T) {
	g := start(t)
	net := newRoad(t, g.URL)
	net.work = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }
	tab := newBrowser(t).donate(net.URL)
	tab.expected = true
	tab.says("The grid cannot be reached")
}

// A closed grid gets a runner's token from a field on the page.
func TestToken(t *testing.T) {
	g := start(t, "--closed")
	token := g.token("runner")
	tab := newBrowser(t).donate(g.URL)
	tab.says("Whoever runs it can give you one")
	tab.do(chromedp.SendKeys(`input[type=password], input[name=token]`, token+"\r", chromedp.NodeVisible))
	tab.says("Ready, but there is no work")
}
