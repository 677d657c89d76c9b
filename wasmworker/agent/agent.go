// Package agent is a worker's side of the grid: it connects, gets leases,
// has an engine compute them, sends the results, and keeps every result until
// the grid has acknowledged it, over any number of connections. It is the same
// in a browser and headless, and never runs a program itself.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"potluck/wire"
)

// An Engine computes tasks in slots that it can stop at any time.
type Engine interface {
	// Load makes a module ready, so that its tasks start at once, and says why it
	// is not. The bytes that fetch gives were verified; it may be called again, as
	// long as the module is not forgotten, should the engine lose them.
	Load(ctx context.Context, m Module, fetch func(context.Context) ([]byte, error)) *wire.Failure
	// Forget drops a module that has no tasks; it may be loaded again.
	Forget(hash string)
	// Start queues a task in a slot. done is called once, from any goroutine,
	// and stop makes it be called soon.
	Start(slot int, t Task, done func(Outcome)) (stop func())
}

// A Module is what an engine runs, and how: see package sandbox for profiles.
type Module struct {
	Hash    string // hexadecimal
	Profile int
}

// A Task is what an engine computes.
type Task struct {
	Module Module
	Args   []string
	Input  []byte
	Time   time.Duration
	Output int // bytes at the most
}

// An Outcome is an output or a failure, and how long computing took.
type Outcome struct {
	Output  []byte
	Failure *wire.Failure
	Took    time.Duration // of computing
	Elapsed time.Duration // by the clock on the wall
}

// Config says for whom an agent works, and how long.
type Config struct {
	Server string // URL of the grid
	Hello  wire.Hello
	Engine Engine
	// Limits at first. Its slots are those of the hello; a share of 0 is all.
	Limits Limits
	// UntilIdle ends the agent when the grid has no work for it.
	UntilIdle bool
	// MaxTasks ends it after so many tasks; 0 never.
	MaxTasks uint64
	// Linger is how long an answer may wait for others to go with it, while the
	// slots have more to do: a message costs both sides more than a result in it.
	Linger time.Duration
	// Grace is how long tasks may go on when the agent is told to end.
	Grace time.Duration
	Log   *slog.Logger
	// Observe hears what happens, one call at a time.
	Observe func(Event)
}

// Limits say how much of the machine an agent may take. They may change while
// it works.
type Limits struct {
	// Slots is how many tasks are computed at a time.
	Slots int
	// Share is the part of its time that each slot computes, over 0 and up to 1;
	// it rests the other part.
	Share float64
	// Paused lets no task begin. Those that have begun end.
	Paused bool
}

// An Event is something that people may want to see.
type Event struct {
	Kind   EventKind     `json:"event"`
	Job    string        `json:"job,omitempty"`
	Title  string        `json:"title,omitempty"`
	Task   uint32        `json:"task,omitempty"`
	Took   time.Duration `json:"took_ns,omitempty"`
	Retry  time.Duration `json:"retry_ns,omitempty"` // until it tries again to connect, or to compute
	Reason string        `json:"reason,omitempty"`
	Totals Totals        `json:"totals"`
}

// EventKind says what an Event is about.
type EventKind string

// What happens to an agent.
const (
	Connected    EventKind = "connected"
	Disconnected EventKind = "disconnected" // with the reason
	Loading      EventKind = "loading"      // a program is fetched and compiled
	Missing      EventKind = "missing"      // what a task needs could not be had, and it went back; with the reason
	Computed     EventKind = "computed"     // a task has an output
	TaskFailed   EventKind = "failed"       // a task has none; with the reason
	Rejected     EventKind = "rejected"     // the grid does not count a result; with the reason
	Idle         EventKind = "idle"         // with the reason
	Trouble      EventKind = "trouble"      // this machine cannot compute something at the moment; with the reason
	Ended        EventKind = "ended"
)

// Totals is what an agent has done.
type Totals struct {
	Computed uint64 `json:"computed"`
	Failed   uint64 `json:"failed"`
	Accepted uint64 `json:"accepted"`
	Pending  uint64 `json:"pending"`
	Late     uint64 `json:"late"`
	Rejected uint64 `json:"rejected"`
}

// A RefusedError is why the grid does not want this worker. Trying again will
// not help.
type RefusedError struct{ wire.Refused }

func (e *RefusedError) Error() string { return "the grid refused this worker: " + e.Reason }

// Backoff between tries to connect: doubling, with full jitter.
const (
	backoffFirst = 500 * time.Millisecond
	backoffMost  = 30 * time.Second
)

// New makes an agent; Run is its life.
func New(c Config) *Agent {
	if c.Limits.Share == 0 {
		c.Limits.Share = 1
	}
	c.Limits.Slots = c.Hello.Slots
	a := &Agent{
		Config: c, some: make(chan struct{}, 1), tasks: map[string]*task{},
		slots: make([]slot, c.Hello.Slots), modules: map[string]*module{}, trouble: map[string]*trouble{},
	}
	a.pace.share, a.pace.linger = c.Limits.Share, c.Linger.Seconds()
	return a
}

// Run works for the grid until ctx ends, Stop is called, or the configuration
// says that it is enough; that is no error. Tasks that compute when ctx ends
// are finished if they do so within the grace, and given back if not.
func (a *Agent) Run(ctx context.Context) error {
	if !strings.HasPrefix(a.Server, "http://") && !strings.HasPrefix(a.Server, "https://") {
		return fmt.Errorf("%q is not the URL of a grid: it starts with http:// or https://", a.Server)
	}
	var end context.CancelFunc
	a.life, end = context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go a.connectForEver()
	err := a.loop(ctx)
	a.observe(Event{Kind: Ended})
	return err
}

// Limit sets new limits.
func (a *Agent) Limit(l Limits) { a.tell(func() { a.limit(l) }) }

// Stop ends the agent: no task begins any more, and those that have begun may
// go on for a grace. It may be called again with another grace.
func (a *Agent) Stop(grace time.Duration) { a.tell(func() { a.wind(grace) }) }

// Look calls see with what the agent is doing; see must not block.
func (a *Agent) Look(see func(Status)) { a.tell(func() { see(a.status()) }) }

// connectForEver keeps a session up.
func (a *Agent) connectForEver() {
	ctx := a.life
	backoff := backoffFirst
	for ctx.Err() == nil {
		greeted, err := a.session(ctx)
		var refused *RefusedError
		if errors.As(err, &refused) && refused.Code != wire.CodeFull {
			a.tell(func() { a.fatal = refused })
			return
		}
		if greeted {
			backoff = backoffFirst
		}
		wait := time.Duration(rand.Int64N(int64(backoff))) //nolint:gosec // jitter needs no secrecy
		backoff = min(2*backoff, backoffMost)
		a.tell(func() { a.disconnected(err, wait) })
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

func (a *Agent) observe(e Event) {
	e.Totals = a.totals
	if a.Observe != nil {
		a.Observe(e)
	}
}
