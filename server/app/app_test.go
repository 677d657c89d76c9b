package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

func TestMain(m *testing.M) {
	if process.IsExecutor() {
		panic(syscall.Exec(os.Getenv(executor), os.Args, os.Environ()))
	}
	os.Exit(run(m))
}

// executor is the environment's name for the binary whose executors do the
// work: one without the race detector, with which programs are compiled ten
// times as slowly. The executor's own tests are in sandbox/process.
const executor = "POTLUCK_TEST_EXECUTOR"

// cache has the machine code of all tests.
var cache string

func run(m *testing.M) int {
	var err error
	if cache, err = os.MkdirTemp("", "potluck-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(cache) //nolint:errcheck // a temporary folder
	binary := filepath.Join(cache, "executor")
	if out, err := exec.Command("go", "build", "-o", binary, "potluck/wasmworker").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the executor: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(executor, binary); err != nil {
		panic(err)
	}
	return m.Run()
}

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// A grid is a whole server in this process, with everything real but workers.
type grid struct {
	*App
	t    *testing.T
	from string // the address that workers seem to come from, behind a proxy
}

// serve starts a server on a folder.
func serve(t *testing.T, dir string, change func(*Config)) *grid {
	t.Helper()
	c := Config{
		Addr: "127.0.0.1:0", Data: dir, TaskTime: 60 * time.Second, TaskOutput: 16 << 20, TaskMemory: 64 << 20,
		NetworkV4: 24, NetworkV6: 48, NATSReplicas: 1, MaxJobs: 100, MaxPerAddress: 8, RefereeShare: 1,
		Anonymous: true, SubmitterJobs: 20, SubmitterBytes: 4 << 30,
	}
	if change != nil {
		change(&c)
	}
	a, err := Start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(context.Background()) })
	return &grid{App: a, t: t}
}

// request asks and gives status, headers and body.
func (g *grid) request(method, path string, body []byte, header ...string) (int, http.Header, []byte) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, g.URL+path, bytes.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, data
}

// get reads JSON that must be there.
func get[T any](g *grid, path string) (v T) {
	g.t.Helper()
	status, _, data := g.request("GET", path, nil)
	if err := json.Unmarshal(data, &v); err != nil || status != http.StatusOK {
		g.t.Fatalf("GET %s: %d, %s", path, status, data)
	}
	return v
}

// post sends something that must be taken.
func post[T any](g *grid, path string, body any, header ...string) (v T) {
	g.t.Helper()
	data, raw := body.([]byte)
	if !raw {
		var err error
		if data, err = json.Marshal(body); err != nil {
			g.t.Fatal(err)
		}
	}
	status, _, answer := g.request("POST", path, data, header...)
	if err := json.Unmarshal(answer, &v); err != nil || status >= 300 {
		g.t.Fatalf("POST %s: %d, %s", path, status, answer)
	}
	return v
}

// publish publishes a module and gives its id.
func (g *grid) publish(module []byte) string {
	g.t.Helper()
	return post[api.Module](g, "/api/v1/modules", module, "Content-Type", "application/wasm").ID
}

// echoes submits a job of echo tasks, one a line.
func (g *grid) echoes(text, policy string) api.Job {
	g.t.Helper()
	return post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Text: text}, Policy: policy})
}

// await reads a job's events until one is as wanted.
func (g *grid) await(id string, wanted func(api.Job) bool) (j api.Job) {
	g.t.Helper()
	for e := range g.events("/api/v1/jobs/"+id+"/events", "") {
		if err := json.Unmarshal([]byte(e.data), &j); err != nil {
			g.t.Fatal(err)
		}
		if wanted(j) {
			return j
		}
	}
	g.t.Fatalf("the events ended with %+v", j)
	return j
}

func (g *grid) ended(id string) api.Job {
	g.t.Helper()
	return g.await(id, func(j api.Job) bool { return j.State != api.JobStateRunning && j.State != api.JobStatePaused })
}

// until asks again and again for what is only known to come soon.
func (g *grid) until(what string, there func() bool) {
	g.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !there(); <-tick.C {
		if time.Now().After(end) {
			g.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// An event is one of a stream.
type event struct{ name, id, data string }

// events reads a stream until its end; it is an error if nothing comes for long.
func (g *grid) events(path, last string) func(yield func(event) bool) {
	return func(yield func(event) bool) {
		g.t.Helper()
		ctx, cancel := context.WithTimeout(g.t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+path, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			g.t.Fatal(err)
		}
		defer resp.Body.Close() //nolint:errcheck // only read
		if media := resp.Header.Get("Content-Type"); media != "text/event-stream" {
			g.t.Fatalf("%s is %s", path, media)
		}
		readEvents(resp.Body, yield)
	}
}

func readEvents(r io.Reader, yield func(event) bool) {
	var e event
	var rest string
	buffer := make([]byte, 64<<10)
	for {
		n, err := r.Read(buffer)
		rest += string(buffer[:n])
		for {
			line, after, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			rest = after
			if name, ok := strings.CutPrefix(line, "event: "); ok {
				e.name = name
			}
			if id, ok := strings.CutPrefix(line, "id: "); ok {
				e.id = id
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				e.data = data
			}
			if line == "" && e.data != "" {
				if !yield(e) {
					return
				}
				e = event{}
			}
		}
		if err != nil {
			return
		}
	}
}

// A worker is one whose answers the test gives.
type worker struct {
	t    *testing.T
	conn *websocket.Conn
	id   string
	held []wire.Lease
	lent int // leases that it got
	acks []wire.Ack
	job  string
}

func (g *grid) dial() *websocket.Conn {
	g.t.Helper()
	var options websocket.DialOptions
	if g.from != "" {
		options.HTTPHeader = http.Header{"X-Forwarded-For": {g.from}}
	}
	conn, _, err := websocket.Dial(g.t.Context(), "ws"+strings.TrimPrefix(g.URL, "http")+wire.SocketPath, &options)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(wire.MaxMessage)
	return conn
}

// secretOf makes a name's secret.
func secretOf(name string) []byte { return fmt.Appendf(nil, "%-32s", name) }

// worker connects one that is ready for so many leases.
func (g *grid) worker(name string, credit uint64) *worker {
	g.t.Helper()
	w := &worker{t: g.t, conn: g.dial()}
	w.hello(name, "", credit)
	m := w.receive()
	if m.Welcome == nil {
		g.t.Fatalf("%s is not welcome: %+v", name, m.Refused)
	}
	w.id = m.Welcome.Volunteer
	return w
}

func (w *worker) hello(name, token string, credit uint64) {
	w.t.Helper()
	w.send(wire.FromWorker{Credit: credit, Hello: &wire.Hello{Protocol: wire.Protocol, Name: name, Secret: secretOf(name), Token: token, Slots: 64, Profiles: sandbox.Profiles}})
}

func (w *worker) send(m wire.FromWorker) {
	w.t.Helper()
	data, err := wire.Encode(m)
	if err == nil {
		err = w.conn.Write(w.t.Context(), websocket.MessageBinary, data)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *worker) receive() (m wire.ToWorker) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	_, data, err := w.conn.Read(ctx)
	if err == nil {
		err = wire.Decode(data, &m)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range m.Batches {
		w.job = b.Job
		w.held = append(w.held, b.Leases...)
		w.lent += len(b.Leases)
	}
	w.acks = append(w.acks, m.Acks...)
	return m
}

// sentAway waits until the grid has refused the worker.
func (w *worker) sentAway() {
	w.t.Helper()
	for {
		if m := w.receive(); m.Refused != nil {
			if m.Refused.Code != wire.CodeQuarantine || m.Refused.Reason == "" {
				w.t.Errorf("sent away: %+v", m.Refused)
			}
			return
		}
	}
}

// refusesWorker wants a worker to be refused with a code when it says hello.
func (g *grid) refusesWorker(name, code string) {
	g.t.Helper()
	w := &worker{t: g.t, conn: g.dial()}
	w.send(wire.FromWorker{Hello: &wire.Hello{Protocol: wire.Protocol, Name: name, Secret: secretOf(name), Slots: 64, Profiles: sandbox.Profiles}})
	if m := w.receive(); m.Refused == nil || m.Refused.Code != code {
		g.t.Errorf("%s is answered with %+v", name, m)
	}
}

// leases waits until the worker was lent n tasks that it has not answered.
func (w *worker) leases(n int) []wire.Lease {
	w.t.Helper()
	for len(w.held) < n {
		w.receive()
	}
	return w.held
}

// answer answers the first lease that is held and waits for what becomes of it.
func (w *worker) answer(output string) wire.Ack {
	w.t.Helper()
	l := w.leases(1)[0]
	return w.result(wire.Result{Lease: l.ID, Output: []byte(output)})
}

// echo answers the first lease rightly.
func (w *worker) echo() wire.Ack {
	w.t.Helper()
	return w.answer(string(w.leases(1)[0].Input))
}

// echoOf answers the task with an input rightly, whichever lease it is, and
// the answer must count.
func (w *worker) echoOf(input string) {
	w.t.Helper()
	for {
		for _, l := range w.held {
			if string(l.Input) != input {
				continue
			}
			if a := w.result(wire.Result{Lease: l.ID, Output: l.Input}); a.Status != wire.Accepted && a.Status != wire.Pending {
				w.t.Errorf("the answer for %q: %+v", input, a)
			}
			return
		}
		w.receive()
	}
}

// fail fails at the first lease, as a program does.
// failAt fails at the task with an input, whichever lease it is.
func (w *worker) failAt(input string) {
	w.t.Helper()
	for {
		for _, l := range w.held {
			if string(l.Input) == input {
				w.result(wire.Result{Lease: l.ID, Failure: &wire.Failure{Kind: "exit", Message: "exit status 3"}})
				return
			}
		}
		w.receive()
	}
}

func (w *worker) fail() {
	w.t.Helper()
	l := w.leases(1)[0]
	w.result(wire.Result{Lease: l.ID, Failure: &wire.Failure{Kind: "exit", Message: "exit status 3", Stderr: []byte("on stderr")}})
}

// cannotLoad fails at the first lease by its machine's fault, which nobody looks into.
func (w *worker) cannotLoad() wire.Ack {
	w.t.Helper()
	return w.result(wire.Result{Lease: w.leases(1)[0].ID, Failure: &wire.Failure{Kind: string(sandbox.Load), Message: "no room"}})
}

func (w *worker) result(r wire.Result) wire.Ack {
	w.t.Helper()
	w.send(wire.FromWorker{Results: []wire.Result{r}})
	for {
		for i, a := range w.acks {
			if bytes.Equal(a.Lease, r.Lease) {
				w.acks = append(w.acks[:i], w.acks[i+1:]...)
				for i, l := range w.held {
					if bytes.Equal(l.ID, r.Lease) {
						w.held = append(w.held[:i:i], w.held[i+1:]...)
						break
					}
				}
				return a
			}
		}
		w.receive()
	}
}

// answerOrIdle answers the first lease that the worker gets, if it gets any.
func (w *worker) answerOrIdle(answer func(wire.Lease) wire.Result) {
	w.t.Helper()
	for len(w.held) == 0 {
		if w.receive().Idle != nil && len(w.held) == 0 {
			return
		}
	}
	w.result(answer(w.held[0]))
}

// work answers whatever the worker is lent, until its connection ends.
func (w *worker) work(answer func(wire.Lease) wire.Result) {
	for {
		var m wire.ToWorker
		_, data, err := w.conn.Read(w.t.Context())
		if err != nil || wire.Decode(data, &m) != nil {
			return
		}
		for _, b := range m.Batches {
			for _, l := range b.Leases {
				w.lent++
				data, err := wire.Encode(wire.FromWorker{Results: []wire.Result{answer(l)}, Credit: uint64(w.lent) + 8})
				if err != nil || w.conn.Write(w.t.Context(), websocket.MessageBinary, data) != nil {
					return
				}
			}
		}
	}
}

// echoAll answers everything rightly, until the connection ends.
func (w *worker) echoAll() {
	w.work(func(l wire.Lease) wire.Result { return wire.Result{Lease: l.ID, Output: l.Input} })
}

// failAll fails at everything in the same way, until the connection ends.
func (w *worker) failAll(kind, message string) {
	w.work(func(l wire.Lease) wire.Result {
		return wire.Result{Lease: l.ID, Failure: &wire.Failure{Kind: kind, Message: message}}
	})
}
