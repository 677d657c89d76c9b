package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/wire"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

var program = []byte("a program")

func hashOf(data []byte) []byte { s := sha256.Sum256(data); return s[:] }

// A gateway is one whose every word the test says.
type gateway struct {
	t        *testing.T
	url      string
	sessions chan *session
	puts     chan put
	module   []byte // what is served, whatever is asked for
}

type session struct {
	t    *testing.T
	conn *websocket.Conn
	over chan struct{}
	got  wire.FromWorker // all that came so far, put together
}

type put struct {
	path, lease, volunteer string
	body                   []byte
}

func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{t: t, sessions: make(chan *session), puts: make(chan put, 10), module: program}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+wire.SocketPath, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		conn.SetReadLimit(wire.MaxMessage)
		s := &session{t: t, conn: conn, over: make(chan struct{})}
		select {
		case g.sessions <- s:
			<-s.over
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
		_ = conn.CloseNow()
	})
	mux.HandleFunc("GET /api/v1/modules/{hash}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(g.module) })
	mux.HandleFunc("PUT /api/v1/work/{job}/outputs/{hash}", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		g.puts <- put{r.URL.Path, r.Header.Get(wire.LeaseHeader), r.Header.Get(wire.VolunteerHeader), body}
		w.WriteHeader(http.StatusCreated)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// accept waits for a worker and welcomes it.
func (g *gateway) accept() *session {
	g.t.Helper()
	select {
	case s := <-g.sessions:
		if s.receive(); s.got.Hello == nil || s.got.Hello.Protocol != wire.Protocol {
			g.t.Fatalf("no hello: %+v", s.got)
		}
		g.t.Cleanup(s.end)
		s.send(wire.ToWorker{Welcome: &wire.Welcome{Volunteer: "v", Worker: "w"}})
		return s
	case <-time.After(patience):
		g.t.Fatal("no worker came")
		return nil
	}
}

// end cuts the connection.
func (s *session) end() {
	select {
	case <-s.over:
	default:
		close(s.over)
	}
}

func (s *session) send(m wire.ToWorker) {
	s.t.Helper()
	data, err := wire.Encode(m)
	if err == nil {
		err = s.conn.Write(s.t.Context(), websocket.MessageBinary, data)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) receive() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	_, data, err := s.conn.Read(ctx)
	var m wire.FromWorker
	if err == nil {
		err = wire.Decode(data, &m)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if m.Hello != nil {
		s.got.Hello = m.Hello
	}
	s.got.Credit = max(s.got.Credit, m.Credit)
	s.got.Results = append(s.got.Results, m.Results...)
	s.got.Returns = append(s.got.Returns, m.Returns...)
	s.got.Bye = s.got.Bye || m.Bye
	s.got.Slots = max(s.got.Slots, m.Slots)
}

// until receives until all that came is as wanted.
func (s *session) until(wanted func(wire.FromWorker) bool) wire.FromWorker {
	s.t.Helper()
	for !wanted(s.got) {
		s.receive()
	}
	return s.got
}

func results(n int) func(wire.FromWorker) bool {
	return func(m wire.FromWorker) bool { return len(m.Results) >= n }
}

// farewell waits until the worker says goodbye.
func (s *session) farewell() wire.FromWorker {
	s.t.Helper()
	got := s.until(func(m wire.FromWorker) bool { return m.Bye })
	s.end()
	return got
}

// lend lends tasks 0, 1, 2… with these inputs.
func (s *session) lend(inputs ...string) {
	s.t.Helper()
	s.until(func(m wire.FromWorker) bool { return m.Credit > 0 })
	b := wire.Batch{Job: "job", Module: hashOf(program), Millis: 1000, Output: 1 << 20}
	for i, in := range inputs {
		b.Leases = append(b.Leases, wire.Lease{ID: fmt.Appendf(nil, "lease %d", i), Task: uint32(i), Input: []byte(in)})
	}
	s.send(wire.ToWorker{Batches: []wire.Batch{b}})
}

func (s *session) ack(results ...wire.Result) {
	s.t.Helper()
	var m wire.ToWorker
	for _, r := range results {
		m.Acks = append(m.Acks, wire.Ack{Lease: r.Lease, Status: wire.Accepted})
	}
	s.send(m)
}

// An engine computes when the test says so.
type engine struct {
	started   chan *run
	forgotten chan string
}

type run struct {
	Task
	done    func(Outcome)
	stopped chan struct{}
}

func (e *engine) Load(ctx context.Context, _ Module, fetch func(context.Context) ([]byte, error)) *wire.Failure {
	data, err := fetch(ctx)
	switch {
	case err != nil:
		return &wire.Failure{Kind: "machine", Message: err.Error()}
	case bytes.HasPrefix(data, []byte("broken")):
		return &wire.Failure{Kind: "module", Message: "this program cannot be compiled"}
	}
	return nil
}

func (e *engine) Forget(hash string) { e.forgotten <- hash }

func (e *engine) Start(_ int, t Task, done func(Outcome)) (stop func()) {
	r := &run{t, done, make(chan struct{})}
	e.started <- r
	return func() { close(r.stopped); done(Outcome{Failure: &wire.Failure{Kind: "crash"}}) }
}

// answer gives the input as output.
func (r *run) answer() {
	r.done(Outcome{Output: r.Input, Took: time.Millisecond, Elapsed: time.Millisecond})
}

func (r *run) fail(kind, message string) {
	r.done(Outcome{Failure: &wire.Failure{Kind: kind, Message: message}})
}

// A worker is an agent at work.
type worker struct {
	t      *testing.T
	agent  *Agent
	engine *engine
	signal context.CancelFunc
	ended  chan error
	totals Totals

	missing  string // the last reason
	troubles []string
}

// see is the agent's observer.
func (w *worker) see(e Event) {
	w.totals = e.Totals
	if e.Kind == Missing {
		w.missing = e.Reason
	}
	if e.Kind == Trouble {
		w.troubles = append(w.troubles, e.Reason)
	}
}

func (g *gateway) worker(change func(*Config)) *worker {
	g.t.Helper()
	w := &worker{t: g.t, engine: &engine{make(chan *run, 100), make(chan string, 100)}, ended: make(chan error, 1)}
	c := Config{
		Server: g.url, Hello: wire.Hello{Secret: make([]byte, 32), Slots: 1}, Engine: w.engine,
		Grace: patience, Log: slog.New(slog.DiscardHandler), Observe: w.see,
	}
	if change != nil {
		change(&c)
	}
	var ctx context.Context
	ctx, w.signal = context.WithCancel(g.t.Context())
	w.agent = New(c)
	go func() { w.ended <- w.agent.Run(ctx) }()
	return w
}

func (w *worker) next() *run {
	w.t.Helper()
	select {
	case r := <-w.engine.started:
		return r
	case <-time.After(patience):
		w.t.Fatal("nothing was started")
		return nil
	}
}

func (w *worker) wait() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(patience):
		w.t.Fatal("the agent does not end")
		return nil
	}
}

// A result is sent again, over a new connection, until it is acknowledged.
func TestResultsSurviveConnections(t *testing.T) {
	g := newGateway(t)
	w := g.worker(func(c *Config) { c.MaxTasks = 2 })
	s := g.accept()
	s.lend("a", "b")
	w.next().answer()
	if got := s.until(results(1)); string(got.Results[0].Output) != "a" {
		t.Errorf("the answer: %+v", got)
	}
	s.end() // before it was acknowledged
	s = g.accept()
	again := s.until(results(1)).Results[0]
	if string(again.Lease) != "lease 0" || string(again.Output) != "a" {
		t.Errorf("sent again: %+v", again)
	}
	s.end()
	w.next().answer() // while there is no connection
	s = g.accept()
	s.ack(s.until(results(2)).Results...)
	s.farewell()
	if err := w.wait(); err != nil || w.totals != (Totals{Computed: 2, Accepted: 2}) {
		t.Errorf("%v, %+v", err, w.totals)
	}
}

// An agent that is told to end gives back what it has not begun, finishes what
// it has, and waits for the acknowledgement.
func TestEnd(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a", "b")
	running := w.next()
	w.signal()
	if got := s.until(func(m wire.FromWorker) bool { return len(m.Returns) > 0 }); string(got.Returns[0]) != "lease 1" || len(got.Results) > 0 {
		t.Errorf("%+v", got)
	}
	running.answer()
	s.ack(s.until(results(1)).Results...)
	s.farewell()
	if err := w.wait(); err != nil || w.totals.Accepted != 1 {
		t.Errorf("%v, %+v", err, w.totals)
	}
}

// When the grace is over, what still computes is stopped and given back.
func TestGrace(t *testing.T) {
	g := newGateway(t)
	w := g.worker(func(c *Config) { c.Grace = time.Millisecond })
	s := g.accept()
	s.lend("a")
	running := w.next()
	w.signal()
	<-running.stopped
	if got := s.farewell(); len(got.Returns) != 1 || len(got.Results) > 0 {
		t.Errorf("%+v", got)
	}
	if err := w.wait(); err != nil {
		t.Error(err)
	}
}

// A lease that is revoked is stopped and not answered.
func TestRevoked(t *testing.T) {
	g := newGateway(t)
	w := g.worker(func(c *Config) { c.UntilIdle = true })
	s := g.accept()
	s.lend("a", "b")
	running := w.next()
	s.send(wire.ToWorker{Revoked: [][]byte{[]byte("lease 0"), []byte("nobody's")}})
	<-running.stopped
	w.next().answer()
	got := s.until(results(1))
	if len(got.Results) != 1 || string(got.Results[0].Output) != "b" {
		t.Errorf("%+v", got)
	}
	s.ack(got.Results...)
	s.send(wire.ToWorker{Idle: &wire.Idle{Reason: "done"}})
	s.farewell()
	if err := w.wait(); err != nil {
		t.Error(err)
	}
}

// What is lent a second time while it is here is computed once.
func TestLentTwice(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	s.lend("a")
	w.next().answer()
	s.ack(s.until(results(1)).Results...)
	w.signal()
	if got := s.farewell(); len(got.Results) != 1 {
		t.Errorf("%+v", got)
	}
	if err := w.wait(); err != nil || w.totals.Computed != 1 {
		t.Errorf("%v, %+v", err, w.totals)
	}
}

// What has failed and is lent once more is computed once more, though that comes
// before the answer to the failure.
func TestFailedLentAgain(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	w.next().done(Outcome{Failure: &wire.Failure{Kind: "exit", Message: "no luck"}})
	failed := s.until(results(1)).Results[0]
	s.lend("a")
	s.ack(failed)
	w.next().answer()
	got := s.until(results(2)).Results[1]
	if string(got.Output) != "a" || got.Failure != nil {
		t.Errorf("the second try: %+v", got)
	}
	s.ack(got)
	w.signal()
	s.farewell()
	if err := w.wait(); err != nil || w.totals.Computed != 1 || w.totals.Failed != 1 {
		t.Errorf("%v, %+v", err, w.totals)
	}
}

// A worker that the grid refuses does not come again.
func TestRefused(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := <-g.sessions
	s.receive()
	s.send(wire.ToWorker{Refused: &wire.Refused{Code: wire.CodeProtocol, Reason: "you are too old"}})
	var refused *RefusedError
	if err := w.wait(); !errors.As(err, &refused) || refused.Code != wire.CodeProtocol {
		t.Errorf("%v", err)
	}
	s.end()
	if err := New(Config{Server: "localhost:8080"}).Run(t.Context()); err == nil {
		t.Error("a URL without a scheme is taken")
	}
}

// A large output goes ahead over HTTP, with its lease.
func TestLargeOutput(t *testing.T) {
	g := newGateway(t)
	w := g.worker(func(c *Config) { c.MaxTasks = 1 })
	s := g.accept()
	s.lend("a")
	output := bytes.Repeat([]byte("x"), wire.MaxInline+1)
	w.next().done(Outcome{Output: output})
	p := <-g.puts
	if p.path != fmt.Sprintf(wire.OutputPath, "job", hex.EncodeToString(hashOf(output))) || !bytes.Equal(p.body, output) ||
		p.lease != hex.EncodeToString([]byte("lease 0")) || p.volunteer != wire.VolunteerID(make([]byte, 32)) {
		t.Errorf("PUT %s, lease %s of %s, %d bytes", p.path, p.lease, p.volunteer, len(p.body))
	}
	got := s.until(results(1))
	if !bytes.Equal(got.Results[0].Hash, hashOf(output)) || len(got.Results[0].Output) > 0 {
		t.Errorf("%+v", got.Results)
	}
	s.ack(got.Results...)
	s.farewell()
	if err := w.wait(); err != nil {
		t.Error(err)
	}
}

// Bytes with the wrong hash are not run: the task goes back. So does one of a
// program that does not compile here: it may elsewhere.
func TestBadModules(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	g.module = []byte("another program")
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	s.until(func(m wire.FromWorker) bool { return len(m.Returns) == 1 })
	g.module = []byte("broken program")
	s.send(wire.ToWorker{Batches: []wire.Batch{{Job: "job", Module: hashOf(g.module), Leases: []wire.Lease{{ID: []byte("b")}}}}})
	got := s.until(func(m wire.FromWorker) bool { return len(m.Returns) == 2 })
	if len(got.Results) > 0 || string(got.Returns[1]) != "b" {
		t.Errorf("%+v", got)
	}
	w.signal()
	s.farewell()
	if err := w.wait(); err != nil || w.totals.Failed != 0 {
		t.Errorf("%v, %+v", err, w.totals)
	}
	if !strings.Contains(w.missing, "wrong hash") {
		t.Errorf("people hear of it: %q", w.missing)
	}
	if len(w.troubles) != 1 || !strings.Contains(w.troubles[0], "this program cannot be compiled") {
		t.Errorf("people hear of it: %q", w.troubles)
	}
}

// A gateway that drains gets the answers that are under way, and no more; the
// worker comes back.
func TestDrain(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a", "b")
	w.next().answer()
	first := s.until(results(1)).Results
	s.send(wire.ToWorker{Drain: true})
	s.ack(first...)
	s = g.accept()
	w.next().answer()
	s.ack(s.until(results(1)).Results...)
	w.signal()
	s.farewell()
	if err := w.wait(); err != nil || w.totals.Accepted != 2 {
		t.Errorf("%v, %+v", err, w.totals)
	}
}

// A paused agent finishes what it has begun, gives back the rest and asks for
// nothing, until it is told to go on.
func TestPause(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a", "b", "c")
	running := w.next()
	w.agent.Limit(Limits{Slots: 1, Share: 1, Paused: true})
	got := s.until(func(m wire.FromWorker) bool { return len(m.Returns) == 2 })
	if slices.ContainsFunc(got.Returns, func(id []byte) bool { return string(id) == "lease 0" }) {
		t.Fatalf("it gave back what was running: %q", got.Returns)
	}
	running.answer()
	credit := s.until(results(1)).Credit
	s.ack(s.got.Results...)
	s.send(wire.ToWorker{Batches: []wire.Batch{{Job: "job", Module: hashOf(program), Leases: []wire.Lease{{ID: []byte("late")}}}}})
	if got := s.until(func(m wire.FromWorker) bool { return len(m.Returns) == 3 }); got.Credit != credit {
		t.Fatalf("a paused agent asks for %d instead of %d", got.Credit, credit)
	}
	w.agent.Limit(Limits{Slots: 1, Share: 1})
	s.until(func(m wire.FromWorker) bool { return m.Credit > credit })
}

// More slots take more tasks, and the gateway hears of them; also a gateway
// that comes later.
func TestSlotsChange(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a", "b", "c")
	first := w.next()
	w.agent.Limit(Limits{Slots: 3, Share: 1})
	second, third := w.next(), w.next()
	s.until(func(m wire.FromWorker) bool { return m.Slots == 3 })
	looked := make(chan Status, 1)
	w.agent.Look(func(s Status) { looked <- s })
	if s := <-looked; !s.Connected || len(s.Running) != 3 || s.Running[2].Slot != 2 {
		t.Fatalf("it says of itself: %+v", s)
	}
	for _, r := range []*run{first, second, third} {
		r.answer()
	}
	s.end()
	later := g.accept()
	if later.got.Hello.Slots != 1 {
		t.Fatalf("the hello says %d slots", later.got.Hello.Slots)
	}
	later.until(func(m wire.FromWorker) bool { return m.Slots == 3 && len(m.Results) == 3 })
}

// A slot that may compute half of its time rests as long as it has computed.
func TestShare(t *testing.T) {
	const took = 100 * time.Millisecond
	g := newGateway(t)
	w := g.worker(func(c *Config) { c.Limits.Share = 0.5 })
	s := g.accept()
	s.lend("a", "b")
	first := w.next()
	done := time.Now()
	first.done(Outcome{Output: first.Input, Took: took})
	w.next()
	if rest := time.Since(done); rest < took {
		t.Fatalf("it rested for %v after %v", rest, took)
	}
}

// An agent that is told to stop at once gives back what it computes, also if it
// was told to take its time before.
func TestStop(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	r := w.next()
	w.agent.Stop(time.Hour)
	w.agent.Stop(0)
	<-r.stopped
	if got := s.farewell(); len(got.Returns) != 1 {
		t.Fatalf("it gave back %q", got.Returns)
	}
	if err := w.wait(); err != nil {
		t.Fatal(err)
	}
}

// An agent that meets many programs forgets those that it has used longest ago,
// and fetches them again when it must.
func TestManyModules(t *testing.T) {
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	compute := func(i int) {
		g.module = fmt.Appendf(nil, "program %d", i)
		b := wire.Batch{Job: "job", Module: hashOf(g.module), Millis: 1000, Output: 1 << 20}
		b.Leases = []wire.Lease{{ID: fmt.Appendf(nil, "lease %d", i), Input: []byte("x")}}
		s.until(func(m wire.FromWorker) bool { return m.Credit > uint64(i) })
		s.send(wire.ToWorker{Batches: []wire.Batch{b}})
		w.next().answer()
		s.ack(s.until(results(i + 1)).Results[i])
	}
	for i := range maxModules + 2 {
		compute(i)
	}
	for i := range 2 {
		if got, want := <-w.engine.forgotten, hex.EncodeToString(hashOf(fmt.Appendf(nil, "program %d", i))); got != want {
			t.Errorf("it forgot %s instead of program %d", got, i)
		}
	}
}
