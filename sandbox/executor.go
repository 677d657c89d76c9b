package sandbox

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// compileTime bounds the compiling of one module.
const compileTime = 2 * time.Minute

// A Child runs programs, one at a time, and can be killed in the middle of one.
type Child interface {
	// Send queues a request; up to Window of them never block.
	Send(Request)
	// Outcomes gives one outcome a request, in their order. It is closed when
	// the child has died.
	Outcomes() <-chan Outcome
	// Kill ends the child at once, and returns when nothing of it is left.
	Kill()
	// ExitReason says why it died: a Crash, or the Machine's trouble if it never
	// came to run anything.
	ExitReason() Failure
	// KeepsTime says whether the child itself ends a program that has computed for
	// longer than its task may, with an outcome of kind Time, and dies with it.
	KeepsTime() bool
}

// A Request is a task to run, or a module to compile ahead of its first task.
type Request struct {
	Load *Module `cbor:"2,keyasint,omitempty"`
	Task *Task   `cbor:"3,keyasint,omitempty"`
}

// A Spawn starts a child. Its failure to start shows as its death.
type Spawn func() Child

// An Executor runs tasks one after another in a child, which is killed
// and replaced when a task overruns its time, is cancelled or brings it down.
// Its time is what it computes, where the child can tell.
// Tasks queued behind such a one are run all the same.
type Executor struct {
	spawn   Spawn
	submits chan *run
	cancels chan *run
	quit    chan struct{}
	closing sync.Once
	done    chan struct{}
}

// A run is a task on its way through an executor. A module's load is one too.
type run struct {
	task      Task
	load      bool
	cancelled bool
	report    func(Outcome)
}

// NewExecutor starts an executor; its child starts with the first task.
func NewExecutor(s Spawn) *Executor {
	x := &Executor{
		spawn:   s,
		submits: make(chan *run),
		cancels: make(chan *run),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go (&queue{Executor: x}).loop()
	return x
}

// Submit queues a task. report is called once with its outcome, from the
// executor's own goroutine and in the order of the tasks; it must not block.
// cancel takes the task back: its outcome is then a Crash.
func (x *Executor) Submit(t Task, report func(Outcome)) (cancel func()) {
	if t.Time == 0 {
		t.Time = DefaultTime
	}
	if t.Output == 0 {
		t.Output = DefaultOutput
	}
	r := &run{task: t, report: report}
	select {
	case x.submits <- r:
	case <-x.done:
		report(closed)
	}
	return func() {
		select {
		case x.cancels <- r:
		case <-x.done:
		}
	}
}

// Run runs one task to its end. Its outcome is a Crash if ctx ends first.
func (x *Executor) Run(ctx context.Context, t Task) Outcome {
	got := make(chan Outcome, 1)
	cancel := x.Submit(t, func(o Outcome) { got <- o })
	select {
	case o := <-got:
		return o
	case <-ctx.Done():
		cancel()
		return <-got
	}
}

// Load compiles a module ahead of its first task.
func (x *Executor) Load(m Module) Outcome {
	got := make(chan Outcome, 1)
	select {
	case x.submits <- &run{task: Task{Module: m, Time: compileTime}, load: true, report: func(o Outcome) { got <- o }}:
	case <-x.done:
		got <- closed
	}
	return <-got
}

// Close kills the child. Tasks still queued are reported as crashed.
func (x *Executor) Close() {
	x.closing.Do(func() { close(x.quit) })
	<-x.done
}

var closed = Outcome{Failure: &Failure{Crash, "the executor was closed"}}

// Window is how many requests a child has at once: enough to keep it busy, few
// enough that neither side ever blocks the other.
const Window = 32

// A queue is the state of an executor's goroutine.
type queue struct {
	*Executor
	child Child
	runs  []*run // the first sent ones are with the child, and the very first is running
	sent  int
	timer *time.Timer // the end of the running task's time
}

func (q *queue) loop() {
	defer close(q.done)
	q.timer = time.NewTimer(time.Hour)
	for {
		var outcomes <-chan Outcome
		if q.child != nil {
			outcomes = q.child.Outcomes()
		}
		select {
		case r := <-q.submits:
			q.runs = append(q.runs, r)
			q.send()
		case o, ok := <-outcomes:
			if ok {
				q.finish(o)
			} else {
				reason := q.child.ExitReason()
				q.replace(Outcome{Failure: &reason})
			}
		case <-q.timer.C:
			q.overrun()
		case r := <-q.cancels:
			q.cancel(r)
		case <-q.quit:
			q.shutdown()
			return
		}
	}
}

// send fills the child's window, starting a child if there is none.
func (q *queue) send() {
	for q.sent < min(len(q.runs), Window) {
		if q.child == nil {
			q.child = q.spawn()
		}
		r := q.runs[q.sent]
		if q.sent == 0 {
			q.timer.Reset(q.patience(r))
		}
		if r.load {
			q.child.Send(Request{Load: &r.task.Module})
		} else {
			q.child.Send(Request{Task: &r.task})
		}
		q.sent++
	}
}

// first takes the first task off the queue.
func (q *queue) first() *run {
	r := q.runs[0]
	q.runs[0] = nil
	q.runs = q.runs[1:]
	return r
}

// pop takes the running task off and starts the clock of the next one.
func (q *queue) pop() *run {
	r := q.first()
	q.sent--
	if q.sent > 0 {
		q.timer.Reset(q.patience(q.runs[0]))
	}
	return r
}

// patience is how long a run may take by the clock on the wall. A child that
// measures what programs compute is given much more than they may: the machine
// may have better things to do.
func (q *queue) patience(r *run) time.Duration {
	if r.load || !q.child.KeepsTime() {
		return r.task.Time
	}
	return 10*r.task.Time + 30*time.Second
}

func (q *queue) finish(o Outcome) {
	if o.Failure != nil && o.Failure.Kind == Time {
		q.replace(o)
		return
	}
	r := q.pop()
	q.send()
	r.end(o)
}

func (r *run) end(o Outcome) {
	if r.cancelled {
		o = cancelled
	}
	r.report(o)
}

func (q *queue) overrun() {
	if q.sent == 0 {
		return // the timer of a task that ended just now
	}
	r := q.runs[0]
	switch {
	case r.load:
		q.replace(Outcome{Failure: &Failure{Load, fmt.Sprintf("compiling the module took longer than %v", r.task.Time)}})
	case q.child.KeepsTime():
		q.replace(Outcome{Failure: &Failure{Machine, fmt.Sprintf(
			"in %v the program could not compute for %v: this machine is too busy, or was stopped", q.patience(r), r.task.Time)}})
	default:
		q.replace(Outcome{Failure: &Failure{Time, TimeMessage(r.task.Time)}, Took: r.task.Time, Elapsed: r.task.Time})
	}
}

// TimeMessage is the message of a failure of kind Time.
func TimeMessage(limit time.Duration) string {
	return fmt.Sprintf("the program ran longer than %v", limit)
}

var cancelled = Outcome{Failure: &Failure{Crash, "the task was cancelled"}}

// cancel kills the child if r is running; otherwise r's outcome is not waited for.
func (q *queue) cancel(r *run) {
	if q.sent > 0 && q.runs[0] == r {
		q.replace(cancelled)
		return
	}
	r.cancelled = true
}

// replace kills the child, ends its running task in an outcome and has a new
// child run the others.
func (q *queue) replace(o Outcome) {
	q.child.Kill()
	q.child = nil
	if q.sent == 0 {
		return
	}
	r := q.first()
	q.sent = 0
	q.send()
	r.end(o)
}

func (q *queue) shutdown() {
	if q.child != nil {
		q.child.Kill()
	}
	for _, r := range q.runs {
		r.report(closed)
	}
}
