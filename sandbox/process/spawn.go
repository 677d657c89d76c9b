package process

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"potluck/sandbox"
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
	// Interpreter runs programs in wazero's interpreter: slow, to compare with.
	Interpreter bool
}

// A child is one executor process.
type child struct {
	cmd      *exec.Cmd
	requests chan<- request
	outcomes <-chan sandbox.Outcome
	stop     chan struct{}
	stderr   *limited
	err      error // why it could not be started
}

// Spawn starts an executor process.
func (c Config) Spawn() sandbox.Child {
	requests, outcomes := make(chan request, 2*sandbox.Window), make(chan sandbox.Outcome, 2*sandbox.Window)
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

func (p *child) receive(outcomes chan<- sandbox.Outcome, stdout io.Reader) {
	defer close(outcomes)
	if p.err != nil {
		return
	}
	in := cbor.NewDecoder(bufio.NewReaderSize(stdout, 64<<10))
	for {
		var o sandbox.Outcome
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

// Send queues a request.
func (p *child) Send(r sandbox.Request) { p.requests <- request{Request: r} }

// Outcomes gives the outcomes.
func (p *child) Outcomes() <-chan sandbox.Outcome { return p.outcomes }

// Kill ends the process and waits for it, so that nothing of it is left.
func (p *child) Kill() {
	close(p.stop)
	if p.err == nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

// LastWords is the end of what the process said before it died.
func (p *child) LastWords() string {
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
