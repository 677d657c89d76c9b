package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"potluck/wire"
)

// An Agent is one worker of the grid. But for some, its fields are the loop's:
// only the loop's goroutine touches them.
type Agent struct {
	Config
	life  context.Context //nolint:containedctx // what goes on in the background ends with the agent
	mu    sync.Mutex
	told  []func() // under mu
	some  chan struct{}
	link  *link // nil while there is no connection
	fatal error

	tasks   map[string]*task // by lease: queued, being fetched, running or answered
	ready   []*task          // to be started, the first lent first
	slots   []slot
	modules map[string]*module
	answers []*task  // answered and not acknowledged, in order
	unsent  int      // of answers, from this one on they were not sent in this session
	returns [][]byte // leases to give back

	trouble  map[string]*trouble // by module, and of the machine
	quiet    time.Time           // until then it asks for nothing: what it would get goes back
	lulls    int                 // how often that was so since an output
	pace     pace
	totals   Totals
	got      uint64 // leases in all
	idle     bool
	resized  bool // the gateway does not know how many slots there are
	ending   bool
	gaveUp   bool
	deadline <-chan time.Time // the end of the grace
	alarm    <-chan time.Time // answers have waited long enough
	rested   <-chan time.Time // a slot has rested long enough
	resume   <-chan time.Time // the trouble may be over
}

// A slot is what an engine computes in one place at a time.
type slot struct {
	tasks []*task       // of which the first one runs
	busy  bool          // a task runs
	since time.Time     // that it does, or does not
	spent time.Duration // of running, until since
	debt  time.Duration // of rest
	until time.Time     // it rests until then
}

// A task is a lease on its way.
type task struct {
	lease   wire.Lease
	batch   *wire.Batch
	hash    string // of the module
	stop    func() // while it runs
	began   time.Time
	dropped bool // nobody wants its answer
	result  *wire.Result
	again   *task     // the same, lent once more before its failure was acknowledged
	since   time.Time // when the answer was ready, then when it was sent
}

// A module is being fetched and compiled, or is ready.
type module struct {
	ready   bool
	waiting []*task
	used    time.Time
}

// maxModules is how many an agent keeps: one that works for weeks meets many.
const maxModules = 16

// tell has the loop do something. It never blocks: an engine that reports must
// not wait for a loop that waits for the engine. What is told is bounded by the
// credit.
func (a *Agent) tell(f func()) {
	a.mu.Lock()
	a.told = append(a.told, f)
	a.mu.Unlock()
	select {
	case a.some <- struct{}{}:
	default:
	}
}

// listen does all that was told.
func (a *Agent) listen() {
	a.mu.Lock()
	told := a.told
	a.told = nil
	a.mu.Unlock()
	for _, f := range told {
		f()
	}
}

// loop does one thing after the other until the agent is to end.
func (a *Agent) loop(ctx context.Context) error {
	stop := ctx.Done()
	for {
		select {
		case <-a.some:
			a.listen()
		case <-stop:
			stop = nil
			a.wind(a.Grace)
		case <-a.deadline:
			a.giveUp()
		case <-a.alarm:
			a.alarm = nil
		case <-a.rested:
			a.rested = nil
		case <-a.resume:
			a.resume = nil
		}
		if a.fatal != nil {
			return a.fatal
		}
		a.start()
		a.speak()
		if a.finished() {
			a.leave()
			return nil
		}
	}
}

// wind stops taking leases, gives back those that were not begun, and lets the
// others finish for a while.
func (a *Agent) wind(grace time.Duration) {
	a.ending = true
	a.deadline = time.After(grace)
	a.giveBackWaiting()
}

// giveBackWaiting gives back what was not begun.
func (a *Agent) giveBackWaiting() {
	a.giveBackSome(func(*task) bool { return true })
}

// giveBackSome gives back those that were not begun and are such ones.
func (a *Agent) giveBackSome(such func(*task) bool) {
	for _, t := range a.tasks {
		if t.result == nil && t.stop == nil && such(t) {
			a.giveBack(t)
		}
	}
	a.ready = slices.DeleteFunc(a.ready, func(t *task) bool { return t.dropped })
}

// lastWords is how long an agent that gives up still waits for acknowledgements.
const lastWords = 5 * time.Second

// giveUp gives everything back that is still being computed. The second time,
// or without a connection, it forgets all: the leases run out by themselves.
func (a *Agent) giveUp() {
	if a.gaveUp || a.link == nil {
		a.tasks, a.answers, a.returns = nil, nil, nil
		return
	}
	a.gaveUp = true
	a.deadline = time.After(lastWords)
	for _, t := range a.tasks {
		if t.result == nil {
			a.giveBack(t)
		}
	}
}

func (a *Agent) giveBack(t *task) {
	a.returns = append(a.returns, t.lease.ID)
	a.drop(t)
}

// drop forgets a task without an answer.
func (a *Agent) drop(t *task) {
	t.dropped = true
	delete(a.tasks, string(t.lease.ID))
	if t.stop != nil {
		t.stop()
	}
}

// finished says whether all is done that was to be done.
func (a *Agent) finished() bool {
	if a.MaxTasks > 0 && a.got >= a.MaxTasks || a.UntilIdle && a.idle {
		a.ending = a.ending || len(a.tasks) == 0
	}
	return a.ending && len(a.tasks) == 0 && len(a.returns) == 0
}

// leave says goodbye and waits until that is said.
func (a *Agent) leave() {
	if a.link == nil {
		return
	}
	late := time.After(lastWords)
	bye := a.link.outgoing
	for a.link != nil {
		select {
		case bye <- wire.FromWorker{Bye: true}:
			bye = nil
		case <-a.some:
			a.listen()
		case <-late:
			return
		}
	}
}

func (a *Agent) connected(l *link) {
	a.link, a.unsent, a.idle = l, 0, false
	a.resized = a.Limits.Slots != a.Hello.Slots
	a.Log.Info("connected", "server", a.Server)
	a.observe(Event{Kind: Connected})
}

func (a *Agent) disconnected(err error, retry time.Duration) {
	if errors.Is(err, context.Canceled) && a.link != nil && a.link.drained {
		err = errors.New("the server is going down")
	}
	a.link, a.unsent = nil, 0
	if a.ending && len(a.tasks) == 0 {
		return // goodbye
	}
	a.Log.Warn("no connection; computing goes on", "reason", err, "unacknowledged", len(a.answers))
	a.observe(Event{Kind: Disconnected, Reason: fmt.Sprint(err), Retry: retry})
	a.returns = nil // the gateway gives back what went with the connection
}

// hear takes a message from the gateway.
func (a *Agent) hear(l *link, m wire.ToWorker) {
	if a.link != l {
		return
	}
	for i := range m.Batches {
		a.take(&m.Batches[i])
	}
	for _, ack := range m.Acks {
		a.acknowledged(ack)
	}
	for _, id := range m.Revoked {
		switch t := a.tasks[string(id)]; {
		case t == nil:
		case t.result == nil:
			a.drop(t)
		default:
			t.again = nil
		}
	}
	if m.Idle != nil {
		a.idle = true
		a.observe(Event{Kind: Idle, Reason: m.Idle.Reason})
	}
	if m.Drain {
		l.drained = true
		if a.unsent == 0 {
			l.end() // nothing is under way: come back to whoever is there next
		}
	}
}

// take takes leases.
func (a *Agent) take(b *wire.Batch) {
	a.link.received += uint64(len(b.Leases))
	a.idle = false
	for i := range b.Leases {
		t := &task{lease: b.Leases[i], batch: b, hash: hex.EncodeToString(b.Module)}
		switch old := a.tasks[string(t.lease.ID)]; {
		case old == nil:
			a.begin(t)
		case old.result != nil && old.result.Failure != nil: // another try, and the answer to the last one comes with it or after
			old.again = t
		default: // lent again what is here still
		}
	}
}

// begin takes a task on, or gives it back.
func (a *Agent) begin(t *task) {
	a.got++
	a.tasks[string(t.lease.ID)] = t
	if a.ending || a.Limits.Paused || a.declines(t) {
		a.giveBack(t)
		return
	}
	a.prepare(t)
}

// prepare gets a task what it needs, its input and its module, and then
// queues it.
func (a *Agent) prepare(t *task) {
	if len(t.lease.Hash) > 0 {
		path := fmt.Sprintf(wire.InputPath, t.batch.Job, t.lease.Task)
		go func() {
			input, err := a.fetch(a.life, path, t.lease.Hash)
			a.tell(func() {
				t.lease.Input, t.lease.Hash = input, nil
				if err != nil {
					a.giveBackLater(t, err)
					return
				}
				a.prepare(t)
			})
		}()
		return
	}
	m := a.modules[t.hash]
	if m == nil {
		a.forget()
		m = &module{}
		a.modules[t.hash] = m
		a.observe(Event{Kind: Loading, Job: t.batch.Job, Title: t.batch.Title})
		go a.load(Module{t.hash, t.batch.Profile}, t.batch.Module)
	}
	m.used = time.Now()
	if !m.ready {
		m.waiting = append(m.waiting, t)
		return
	}
	a.ready = append(a.ready, t)
}

// forget makes room for a module: of those without tasks the one goes that was
// not used for longest.
func (a *Agent) forget() {
	if len(a.modules) < maxModules {
		return
	}
	busy := map[string]bool{}
	for _, t := range a.tasks {
		busy[t.hash] = busy[t.hash] || t.result == nil
	}
	oldest := ""
	for hash, m := range a.modules {
		if m.ready && !busy[hash] && (oldest == "" || m.used.Before(a.modules[oldest].used)) {
			oldest = hash
		}
	}
	if oldest != "" {
		delete(a.modules, oldest)
		a.Engine.Forget(oldest)
	}
}

// giveBackLater gives a task back whose bytes could not be had.
func (a *Agent) giveBackLater(t *task, err error) {
	a.Log.Warn("could not get what a task needs", "job", t.batch.Job, "task", t.lease.Task, "error", err)
	a.observe(Event{Kind: Missing, Job: t.batch.Job, Title: t.batch.Title, Task: t.lease.Task, Reason: err.Error()})
	if !t.dropped {
		a.giveBack(t)
	}
}

// load fetches and compiles a module, and starts the tasks that wait for it.
func (a *Agent) load(m Module, sum []byte) {
	var missing atomic.Pointer[error] // the bytes could not be had: nobody's fault
	failure := a.Engine.Load(a.life, m, func(ctx context.Context) (data []byte, err error) {
		if data, err = a.fetch(ctx, fmt.Sprintf(wire.ModulePath, m.Hash), sum); err != nil {
			missing.Store(&err)
		}
		return data, err
	})
	a.tell(func() {
		waiting := a.modules[m.Hash].waiting
		if failure == nil {
			a.loaded(m.Hash)
			return
		}
		delete(a.modules, m.Hash)
		err := missing.Load()
		for _, t := range waiting {
			switch {
			case t.dropped:
			case err != nil:
				a.giveBackLater(t, *err)
			default:
				a.giveBack(t)
			}
		}
		if err == nil {
			a.troubled(m.Hash, failure)
		}
	})
}

// loaded readies the tasks that waited for a module.
func (a *Agent) loaded(hash string) {
	m := a.modules[hash]
	for _, t := range m.waiting {
		if !t.dropped {
			a.ready = append(a.ready, t)
		}
	}
	m.waiting, m.ready = nil, true
}

// done takes the outcome of a task. A large output goes ahead over HTTP.
func (a *Agent) done(t *task, o Outcome) {
	if o.Failure != nil && machines[o.Failure.Kind] {
		if o.Failure.Kind == kindCrash { // it may be the program's doing after all: the grid decides
			a.answer(t, o)
		} else {
			a.giveBack(t)
		}
		a.troubled(t.hash, o.Failure)
		return
	}
	a.recovered(t.hash)
	a.pace.computed(o.Elapsed)
	if o.Failure != nil || len(o.Output) <= wire.MaxInline {
		a.answer(t, o)
		return
	}
	t.stop = func() {} // it counts as running: it is not given back
	go func() {
		hash, err := a.upload(a.life, t, o.Output)
		a.tell(func() {
			t.stop = nil
			switch {
			case t.dropped:
			case err != nil:
				a.giveBackLater(t, err)
			default:
				o.Output = nil
				a.answer(t, o)
				t.result.Hash = hash
			}
		})
	}()
}

// answer keeps the answer to a lease until it is acknowledged.
func (a *Agent) answer(t *task, o Outcome) {
	t.result = &wire.Result{Lease: t.lease.ID, Output: o.Output, Failure: o.Failure, Micros: o.Took.Microseconds()}
	t.lease.Input, t.since = nil, time.Now()
	a.answers = append(a.answers, t)
	e := Event{Kind: Computed, Job: t.batch.Job, Title: t.batch.Title, Task: t.lease.Task, Took: o.Took}
	if o.Failure != nil {
		a.totals.Failed++
		e.Kind, e.Reason = TaskFailed, o.Failure.Message
	} else {
		a.totals.Computed++
	}
	a.observe(e)
}

// acknowledged forgets an answer that the grid has taken.
func (a *Agent) acknowledged(ack wire.Ack) {
	t := a.tasks[string(ack.Lease)]
	if t == nil || t.result == nil {
		return
	}
	switch ack.Status {
	case wire.Accepted:
		a.totals.Accepted++
	case wire.Pending:
		a.totals.Pending++
	case wire.Late:
		a.totals.Late++
	case wire.Rejected:
		a.totals.Rejected++
		a.Log.Warn("the grid rejected a result", "job", t.batch.Job, "task", t.lease.Task, "reason", ack.Reason)
		a.observe(Event{Kind: Rejected, Job: t.batch.Job, Title: t.batch.Title, Task: t.lease.Task, Reason: ack.Reason})
	}
	a.pace.acknowledged(time.Since(t.since))
	delete(a.tasks, string(ack.Lease))
	i := slices.Index(a.answers, t)
	a.answers = slices.Delete(a.answers, i, i+1)
	if i < a.unsent {
		a.unsent--
	}
	if t.again != nil {
		a.begin(t.again)
	}
	if a.link != nil && a.link.drained && a.unsent == 0 {
		a.link.end()
	}
}
