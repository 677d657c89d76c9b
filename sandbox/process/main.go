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
// CBOR items; one of the fields is set. All but the setup are answered by an
// Outcome each, in their order, on stdout.
type request struct {
	Setup *setup `cbor:"1,keyasint,omitempty"`
	sandbox.Request
}

// setup is the first request.
type setup struct {
	Interpreter bool   `cbor:"1,keyasint,omitempty"`
	Cache       string `cbor:"2,keyasint,omitempty"`
	Low         bool   `cbor:"3,keyasint,omitempty"` // priority
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
	requests := make(chan request, 256)
	in := cbor.NewDecoder(bufio.NewReaderSize(os.Stdin, 64<<10))
	var first request
	if err := in.Decode(&first); err != nil || first.Setup == nil {
		return fmt.Errorf("an executor is started by potluck itself, not by hand (%w)", err)
	}
	go receive(in, requests)
	return serve(first.Setup, requests, os.Stdout)
}

// receive ends the process with the parent's last word, even while a program runs.
func receive(in *cbor.Decoder, requests chan<- request) {
	for {
		var r request
		if err := in.Decode(&r); err != nil {
			os.Exit(0)
		}
		requests <- r
	}
}

func serve(s *setup, requests <-chan request, stdout io.Writer) error {
	if s.Low {
		lowerPriority()
	}
	ctx := context.Background()
	e, err := newEngine(ctx, s.Interpreter, s.Cache)
	if err != nil {
		return err
	}
	w := newHolder(stdout)
	for r := range requests {
		if err := w.write(answer(ctx, e, r), len(requests) == 0); err != nil {
			return err
		}
		collect()
	}
	return nil
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

func (h *holder) write(o sandbox.Outcome, now bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.out.Buffered() == 0
	if err := h.enc.Encode(o); err != nil || now {
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

func answer(ctx context.Context, e *engine, r request) sandbox.Outcome {
	if r.Task != nil {
		return e.run(ctx, *r.Task)
	}
	debug.SetGCPercent(100) // a compiler makes much garbage, and no program runs
	defer debug.SetGCPercent(-1)
	if _, err := e.load(ctx, *r.Load); err != nil {
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Load, Message: err.Error()}}
	}
	return sandbox.Outcome{}
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
