// Package process runs programs under wazero in a child process of the same
// binary: a kill stops any program at once and costs nothing while it behaves.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"syscall"
	"time"

	"github.com/fxamacker/cbor/v2"

	"potluck/sandbox"
)

// IsExecutor says whether this process was started as an executor.
func IsExecutor() bool { return len(os.Args) == 2 && os.Args[1] == ExecutorArg }

// A request is what a parent writes to an executor's stdin, as a sequence of
// CBOR items; one of the fields is set. What is to be loaded or run is answered
// by an Outcome each, in their order.
type request struct {
	Setup *setup `cbor:"1,keyasint,omitempty"`
	sandbox.Request
	Supply *supply `cbor:"4,keyasint,omitempty"`
}

// setup is the first request.
type setup struct {
	Interpreter bool   `cbor:"1,keyasint,omitempty"`
	Cache       string `cbor:"2,keyasint,omitempty"`
	Low         bool   `cbor:"3,keyasint,omitempty"` // priority
}

// supply answers what an executor needs: the bytes of a module, or why there are
// none.
type supply struct {
	Bytes []byte `cbor:"1,keyasint,omitempty"`
	Error string `cbor:"2,keyasint,omitempty"`
}

// A reply is what an executor writes to its stdout, as a sequence of CBOR items:
// an outcome, unless another field is set.
type reply struct {
	sandbox.Outcome
	Ready  bool       `cbor:"10,keyasint,omitempty"` // once: it has come up
	Need   sandbox.ID `cbor:"11,keyasint,omitempty"` // a module whose file is no good
	Notice *notice    `cbor:"12,keyasint,omitempty"`
}

// notice is trouble that costs time and nothing else.
type notice struct {
	What string `cbor:"1,keyasint"`
	Why  string `cbor:"2,keyasint"`
}

const (
	// maxHold is how long a finished outcome may wait for others to be written with.
	maxHold = time.Millisecond
	// collectAfter is how much is allocated, in bytes, before garbage is collected between two tasks.
	collectAfter = 64 << 20
	// heapLimit makes the collector run after all, when a task alone allocates that much, in bytes.
	heapLimit = 1 << 30
)

// Main is the whole life of an executor process. It returns when its
// parent closes the pipe, with an error if that could not be understood.
func Main() error {
	// The collector stops the world and would wait for the running program,
	// which cannot be interrupted; so garbage is collected between programs.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(heapLimit)
	runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))) // one of them sees the parent go
	signal.Ignore(os.Interrupt, syscall.SIGTERM)      // they are for the parent, who decides what becomes of the task
	in := cbor.NewDecoder(bufio.NewReaderSize(os.Stdin, 64<<10))
	var first request
	if err := in.Decode(&first); err != nil || first.Setup == nil {
		return fmt.Errorf("an executor is started by potluck itself, not by hand (%w)", err)
	}
	if first.Setup.Low {
		lowerPriority()
	}
	x := &executor{requests: make(chan sandbox.Request, 256), supplies: make(chan supply, 1), replies: newHolder(os.Stdout)}
	go x.receive(in)
	return x.serve(first.Setup)
}

// An executor is the child's side of the pipes.
type executor struct {
	requests chan sandbox.Request
	supplies chan supply
	replies  *holder
}

// receive ends the process with the parent's last word, even while a program runs.
func (x *executor) receive(in *cbor.Decoder) {
	for {
		var r request
		switch err := in.Decode(&r); {
		case err != nil:
			os.Exit(0)
		case r.Supply != nil:
			x.supplies <- *r.Supply
		default:
			x.requests <- r.Request
		}
	}
}

func (x *executor) serve(s *setup) error {
	ctx := context.Background()
	e := &engine{interpreter: s.Interpreter, read: x.read, programs: map[key]*compiled{}, watch: newWatchdog(x.overrun)}
	if s.Cache != "" && !s.Interpreter {
		e.cache = &codeCache{s.Cache, x.notice}
	}
	if err := x.replies.write(reply{Ready: true}, true); err != nil {
		return err
	}
	for r := range x.requests {
		o := answer(ctx, e, r)
		if err := x.replies.write(reply{Outcome: o}, len(x.requests) == 0); err != nil {
			return err
		}
		collect()
	}
	return nil
}

// read gives the bytes of a module from its file, or from the parent if that is
// missing or damaged.
func (x *executor) read(m sandbox.Module) ([]byte, error) {
	if data, err := os.ReadFile(m.Path); err == nil && sandbox.Hash(data) == m.ID {
		return data, nil
	}
	if err := x.replies.write(reply{Need: m.ID}, true); err != nil {
		return nil, err
	}
	s := <-x.supplies
	if s.Error != "" {
		return nil, fmt.Errorf("module %s is missing or damaged on this machine, and could not be fetched: %s", m.ID, s.Error)
	}
	if got := sandbox.Hash(s.Bytes); got != m.ID {
		return nil, fmt.Errorf("module %s is damaged: its bytes hash to %s", m.ID, got)
	}
	return s.Bytes, nil
}

func (x *executor) notice(what, why string) {
	_ = x.replies.write(reply{Notice: &notice{what, why}}, true) // the next write reports it
}

// overrun ends a program that has had its time, and this process with it.
func (x *executor) overrun(limit, took time.Duration) {
	o := sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Time, Message: sandbox.TimeMessage(limit)}, Took: took, Elapsed: took}
	_ = x.replies.write(reply{Outcome: o}, true) // the parent has gone if it cannot be told
	os.Exit(0)
}

// A holder writes outcomes, many at once when they come fast, none later than
// maxHold: the program that runs next may take long.
type holder struct {
	mu    sync.Mutex
	out   *bufio.Writer
	enc   *cbor.Encoder
	timer *time.Timer
}

func newHolder(w io.Writer) *holder {
	h := &holder{out: bufio.NewWriterSize(w, 64<<10)}
	h.enc = cbor.NewEncoder(h.out)
	h.timer = time.AfterFunc(maxHold, h.flush)
	return h
}

func (h *holder) write(r reply, now bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.out.Buffered() == 0
	if err := h.enc.Encode(r); err != nil || now {
		return errors.Join(err, h.out.Flush())
	}
	if first {
		h.timer.Reset(maxHold)
	}
	return nil
}

func (h *holder) flush() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.out.Flush() // the next write reports it
}

func answer(ctx context.Context, e *engine, r sandbox.Request) sandbox.Outcome {
	if r.Task != nil {
		return e.run(ctx, *r.Task)
	}
	debug.SetGCPercent(100) // a compiler makes much garbage, and no program runs
	defer debug.SetGCPercent(-1)
	_, f := e.load(ctx, *r.Load)
	return sandbox.Outcome{Failure: f}
}

var (
	allocated = []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	collected uint64
)

func collect() {
	metrics.Read(allocated)
	if n := allocated[0].Value.Uint64(); n-collected > collectAfter {
		runtime.GC()
		collected = n
	}
}
