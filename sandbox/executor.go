package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// compileTime bounds the compiling of one module.
const compileTime = 2 * time.Minute

// Config says how executors run programs.
type Config struct {
	// Command starts an executor; by default this binary with ExecutorArg.
	Command []string
	// Cache is the folder for compiled modules; none if "".
	Cache string
	// Low gives programs the lowest priority on the machine.
	Low bool
	// Interpreter runs programs in wazero's interpreter: slow, to compare with.
	Interpreter bool
}

// An Executor runs tasks one after another in a child process, which is killed
// and replaced when a task overruns its time, is cancelled or brings it down.
// Tasks queued behind such a one are run all the same.
type Executor struct {
	config  Config
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

// NewExecutor starts an executor; its process starts with the first task.
func NewExecutor(c Config) *Executor {
	x := &Executor{
		config:  c,
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

// Load compiles a module ahead of its first task.
func (x *Executor) Load(m Module) error {
	got := make(chan Outcome, 1)
	select {
	case x.submits <- &run{task: Task{Module: m, Time: compileTime}, load: true, report: func(o Outcome) { got <- o }}:
	case <-x.done:
		got <- closed
	}
	return (<-got).Err()
}

// Close kills the process. Tasks still queued are reported as crashed.
func (x *Executor) Close() {
	x.closing.Do(func() { close(x.quit) })
	<-x.done
}

var closed = Outcome{Failure: &Failure{Crash, "the executor was closed"}}

// window is how many tasks the child has at once: enough to keep it busy, few
// enough that neither side of the pipes ever blocks the other.
const window = 32

// A queue is the state of an executor's goroutine.
type queue struct {
	*Executor
	child *child
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
			outcomes = q.child.outcomes
		}
		select {
		case r := <-q.submits:
			q.runs = append(q.runs, r)
			q.send()
		case o, ok := <-outcomes:
			if ok {
				q.finish(o)
			} else {
				q.replace(Crash, "the executor died"+q.child.lastWords())
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
	for q.sent < min(len(q.runs), window) {
		if q.child == nil {
			q.child = spawn(q.config)
		}
		r := q.runs[q.sent]
		if q.sent == 0 {
			q.timer.Reset(r.task.Time)
		}
		if r.load {
			q.child.requests <- request{Load: &r.task.Module}
		} else {
			q.child.requests <- request{Task: &r.task}
		}
		q.sent++
	}
}

// pop takes the running task off and starts the clock of the next one.
func (q *queue) pop() *run {
	r := q.runs[0]
	q.runs[0] = nil
	q.runs = q.runs[1:]
	q.sent--
	if q.sent > 0 {
		q.timer.Reset(q.runs[0].task.Time)
	}
	return r
}

func (q *queue) finish(o Outcome) {
	r := q.pop()
	q.send()
	if r.cancelled {
		o = cancelled
	}
	r.report(o)
}

func (q *queue) overrun() {
	if q.sent == 0 {
		return // the timer of a task that ended just now
	}
	what, r := "the program ran", q.runs[0]
	if r.load {
		what = "compiling the module took"
	}
	q.replace(Time, fmt.Sprintf("%s longer than %v", what, r.task.Time))
}

var cancelled = Outcome{Failure: &Failure{Crash, "the task was cancelled"}}

// cancel kills the child if r is running; otherwise r's outcome is not waited for.
func (q *queue) cancel(r *run) {
	if q.sent > 0 && q.runs[0] == r {
		q.replace(cancelled.Failure.Kind, cancelled.Failure.Message)
		return
	}
	r.cancelled = true
}

// replace kills the child, fails its running task and has a new child run the
// others.
func (q *queue) replace(kind Kind, message string) {
	q.child.kill()
	q.child = nil
	if q.sent == 0 {
		return
	}
	o := Outcome{Failure: &Failure{kind, message}}
	r := q.pop()
	if kind == Time {
		o.Took = r.task.Time
	}
	q.sent = 0
	q.send()
	r.report(o)
}

func (q *queue) shutdown() {
	if q.child != nil {
		q.child.kill()
	}
	for _, r := range q.runs {
		r.report(closed)
	}
}

// A child is one executor process.
type child struct {
	cmd      *exec.Cmd
	requests chan<- request
	outcomes <-chan Outcome
	stop     chan struct{}
	stderr   *limited
	err      error // why it could not be started
}

func spawn(c Config) *child {
	requests, outcomes := make(chan request, 64), make(chan Outcome, 64)
	p := &child{requests: requests, outcomes: outcomes, stop: make(chan struct{}), stderr: &limited{limit: 4 << 10, drop: true}}
	command := c.Command
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			self = os.Args[0]
		}
		command = []string{self, ExecutorArg}
	}
	p.cmd = exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // our own binary; it is killed, not cancelled
	p.cmd.Stderr = p.stderr
	dieWithParent(p.cmd)
	stdin, err := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	if err == nil && err2 == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.err = err
		stdin, stdout = nil, nil
	}
	go p.send(requests, stdin, setup{Interpreter: c.Interpreter, Cache: c.Cache, Low: c.Low})
	go p.receive(outcomes, stdout)
	return p
}

// send writes requests, many at once when they come fast.
func (p *child) send(requests <-chan request, stdin io.Writer, s setup) {
	out := bufio.NewWriterSize(stdin, 64<<10)
	enc := cbor.NewEncoder(out)
	r := request{Setup: &s}
	for {
		if p.err == nil && enc.Encode(r) == nil && len(requests) == 0 {
			_ = out.Flush() // a broken pipe shows as the end of the outcomes
		}
		select {
		case r = <-requests:
		case <-p.stop:
			return
		}
	}
}

func (p *child) receive(outcomes chan<- Outcome, stdout io.Reader) {
	defer close(outcomes)
	if p.err != nil {
		return
	}
	in := cbor.NewDecoder(bufio.NewReaderSize(stdout, 64<<10))
	for {
		var o Outcome
		if in.Decode(&o) != nil {
			return
		}
		select {
		case outcomes <- o:
		case <-p.stop:
			return
		}
	}
}

// kill ends the process and waits for it, so that nothing of it is left.
func (p *child) kill() {
	close(p.stop)
	if p.err == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// lastWords is the end of what the process said before it died.
func (p *child) lastWords() string {
	if p.err != nil {
		return ": it could not be started: " + p.err.Error()
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // the end of its stderr
	if first, _, _ := strings.Cut(p.stderr.String(), "\n"); first != "" {
		return ": " + first
	}
	return ""
}
