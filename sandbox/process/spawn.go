package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/fxamacker/cbor/v2"

	"potluck/sandbox"
	"potluck/sandbox/shelf"
)

// ExecutorArg is the first argument with which a binary that uses this package
// must call Main at once.
const ExecutorArg = "executor"

// Config says how executors run programs.
type Config struct {
	// Command starts an executor; by default this binary with ExecutorArg.
	Command []string
	// Cache is the folder for compiled modules; none if "".
	Cache string
	// Low gives programs the lowest priority on the machine.
	Low bool
	// Notice hears of trouble with the cache, from every executor.
	Notice shelf.Notice
	// Interpreter runs programs in wazero's interpreter: slow, to compare with.
	Interpreter bool
}

// A child is one executor process.
type child struct {
	cmd      *exec.Cmd
	requests chan request
	outcomes chan sandbox.Outcome
	notice   shelf.Notice
	life     context.Context //nolint:containedctx // what goes on in the background ends with the child
	end      context.CancelFunc
	stderr   *limited
	ready    atomic.Bool // it has come up
	err      error       // why it could not be started
	mu       sync.Mutex
	modules  map[sandbox.ID]sandbox.Module // that it was asked to run lately,
	recent   []sandbox.ID                  // in this order
}

// Spawn starts an executor process.
func (c Config) Spawn() sandbox.Child {
	p := &child{
		requests: make(chan request, 2*sandbox.Window), outcomes: make(chan sandbox.Outcome, 2*sandbox.Window),
		notice: c.Notice, modules: map[sandbox.ID]sandbox.Module{}, stderr: &limited{limit: 4 << 10, drop: true},
	}
	p.life, p.end = context.WithCancel(context.Background())
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
	if err = errors.Join(err, err2); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.err = err
		stdin, stdout = nil, nil
	}
	go p.send(stdin, setup{Interpreter: c.Interpreter, Cache: c.Cache, Low: c.Low})
	go p.receive(stdout)
	return p
}

// send writes requests, many at once when they come fast.
func (p *child) send(stdin io.Writer, s setup) {
	out := bufio.NewWriterSize(stdin, 64<<10)
	enc := cbor.NewEncoder(out)
	r := request{Setup: &s}
	for {
		if p.err == nil && enc.Encode(r) == nil && len(p.requests) == 0 {
			_ = out.Flush() // a broken pipe shows as the end of the outcomes
		}
		select {
		case r = <-p.requests:
		case <-p.life.Done():
			return
		}
	}
}

func (p *child) receive(stdout io.Reader) {
	defer close(p.outcomes)
	if p.err != nil {
		return
	}
	in := cbor.NewDecoder(bufio.NewReaderSize(stdout, 64<<10))
	for {
		var r reply
		if in.Decode(&r) != nil {
			return
		}
		switch {
		case r.Need != "":
			go p.supply(r.Need)
		case r.Notice != nil && p.notice != nil:
			p.notice(r.Notice.What, r.Notice.Why)
		case r.Notice != nil: // nobody wants to hear it
		case r.Ready:
			p.ready.Store(true)
		default:
			select {
			case p.outcomes <- r.Outcome:
			case <-p.life.Done():
				return
			}
		}
	}
}

// supply sends a module whose file the child could not use.
func (p *child) supply(id sandbox.ID) {
	p.mu.Lock()
	m := p.modules[id]
	p.mu.Unlock()
	var s supply
	if m.Source == nil {
		s.Error = "there is no other place to get it from"
	} else if data, err := m.Source(p.life); err != nil {
		s.Error = err.Error()
	} else {
		s.Bytes = data
	}
	select {
	case p.requests <- request{Supply: &s}:
	case <-p.life.Done():
	}
}

// Send queues a request.
func (p *child) Send(r sandbox.Request) {
	m := r.Load
	if m == nil {
		m = &r.Task.Module
	}
	if m.Source != nil {
		p.remember(*m)
	}
	p.requests <- request{Request: r}
}

// remembered is how many modules a child may still ask for: more than it has
// requests.
const remembered = 2 * sandbox.Window

func (p *child) remember(m sandbox.Module) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.recent); n > 0 && p.recent[n-1] == m.ID {
		return // as mostly
	}
	if _, known := p.modules[m.ID]; known {
		p.recent = slices.DeleteFunc(p.recent, func(id sandbox.ID) bool { return id == m.ID })
	} else if len(p.recent) == remembered {
		delete(p.modules, p.recent[0])
		p.recent = p.recent[1:]
	}
	p.modules[m.ID], p.recent = m, append(p.recent, m.ID)
}

// Outcomes gives the outcomes.
func (p *child) Outcomes() <-chan sandbox.Outcome { return p.outcomes }

// Kill ends the process and waits for it, so that nothing of it is left.
func (p *child) Kill() {
	p.end()
	p.reap()
}

func (p *child) reap() {
	if p.err == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait() // its state says how it ended
	}
}

// KeepsTime says that an executor measures what programs compute.
func (p *child) KeepsTime() bool { return true }

// ExitReason says why the process has died, by what it wrote before.
func (p *child) ExitReason() sandbox.Failure {
	p.reap()
	if p.err != nil {
		return sandbox.Failure{Kind: sandbox.Machine, Message: "an executor could not be started: " + p.err.Error()}
	}
	stderr := p.stderr.String()
	why, _, _ := strings.Cut(stderr, "\n")
	if why == "" {
		why = p.cmd.ProcessState.String()
	}
	switch {
	case strings.Contains(stderr, "out of memory") || strings.Contains(stderr, "cannot allocate memory"):
		return sandbox.Failure{Kind: sandbox.Machine, Message: sandbox.NoMemory}
	case !p.ready.Load():
		return sandbox.Failure{Kind: sandbox.Machine, Message: "an executor could not be started: " + why}
	}
	return sandbox.Failure{Kind: sandbox.Crash, Message: "the executor died: " + why}
}
