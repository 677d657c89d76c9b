package sandbox

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// Brief is how long a task may compute that need not wait behind longer ones:
	// one executor runs nothing else.
	Brief = 10 * time.Second
	// firstSlice is how long a longer one computes before it gives way to another
	// account's. It starts again then, and may compute twice as long: no program can
	// be stopped and continued, but all can be run again.
	firstSlice = 10 * time.Second
	// maxReady is how many modules a pool knows to be compiled.
	maxReady = 1024
)

// A Pool shares a number of executors between accounts, so that no job and no
// owner has them all for long.
type Pool struct {
	turns *Turns
	mu    sync.Mutex
	all   []*Executor
	free  []*Executor // the last used at the end: what it has compiled is at hand
	ready map[ID]*compiled
	known []ID // of ready, in the order in which they were asked for
}

type compiled struct {
	done    chan struct{}
	failure *Failure
}

// NewPool starts a pool of n executors, and one for what is brief.
func NewPool(n int, s Spawn) *Pool {
	p := &Pool{turns: NewTurns(n, 1), ready: map[ID]*compiled{}}
	for range n + 1 {
		p.all = append(p.all, NewExecutor(s))
	}
	p.free = slices.Clone(p.all)
	return p
}

// A Share is an account's share of a pool.
type Share struct {
	pool    *Pool
	account Account
}

// For gives the share of an account.
func (p *Pool) For(a Account) Share { return Share{p, a} }

// Run runs a task of no account in particular, see [Share.Run].
func (p *Pool) Run(ctx context.Context, t Task) Outcome { return p.For(Account{}).Run(ctx, t) }

// Run runs one task when it is its turn. Its outcome is a Crash if ctx ends
// first. What crashes is run once more: an executor may have been killed from
// outside, as by a system that runs out of memory.
func (s Share) Run(ctx context.Context, t Task) Outcome {
	if f := s.compiled(ctx, t.Module); f != nil {
		return Outcome{Failure: f}
	}
	brief := t.Time > 0 && t.Time <= Brief
	for slice := firstSlice; ; slice *= 2 {
		o, gaveWay := s.try(ctx, t, &Turn{account: s.account, brief: brief}, slice)
		if !gaveWay || ctx.Err() != nil {
			return o
		}
	}
}

// try runs a task for one turn. gaveWay says that it had no time to end.
func (s Share) try(ctx context.Context, t Task, w *Turn, slice time.Duration) (o Outcome, gaveWay bool) {
	if s.pool.turns.take(ctx, w) != nil {
		return cancelled, false
	}
	defer w.Leave()
	x := s.pool.get()
	defer s.pool.put(x)
	running, giveWay := context.WithCancel(ctx)
	defer giveWay()
	if !w.brief {
		w.endAfter(slice, giveWay)
	}
	for range 2 {
		o = x.Run(running, t)
		if o.Failure == nil || o.Failure.Kind != Crash || running.Err() != nil {
			break
		}
	}
	return o, o.Failure != nil && o.Failure.Kind == Crash && running.Err() != nil
}

// Hold waits for a turn and calls f, which runs something brief in executors of
// its own.
func (s Share) Hold(ctx context.Context, f func()) error {
	w := &Turn{account: s.account, brief: true}
	if err := s.pool.turns.take(ctx, w); err != nil {
		return err
	}
	defer w.Leave()
	f()
	return nil
}

func (p *Pool) get() *Executor {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	x := p.free[last]
	p.free = p.free[:last]
	return x
}

func (p *Pool) put(x *Executor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, x)
}

// Busy is how many executors run something.
func (p *Pool) Busy() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all) - len(p.free)
}

// compiled makes sure that a module compiles, once however many ask for it; the
// executors then take the machine code from the cache on disk.
func (s Share) compiled(ctx context.Context, m Module) *Failure {
	p := s.pool
	p.mu.Lock()
	c, started := p.ready[m.ID]
	if !started {
		c = &compiled{done: make(chan struct{})}
		if len(p.known) == maxReady { // it is compiled again, or taken from the cache
			delete(p.ready, p.known[0])
			p.known = slices.Delete(p.known, 0, 1)
		}
		p.ready[m.ID], p.known = c, append(p.known, m.ID)
		go s.compile(m, c) //nolint:gosec // it goes on for others when who asked first has gone
	}
	p.mu.Unlock()
	select {
	case <-c.done:
		return c.failure
	case <-ctx.Done():
		return cancelled.Failure
	}
}

func (s Share) compile(m Module, c *compiled) {
	defer close(c.done)
	p := s.pool
	w := &Turn{account: s.account, brief: true}
	_ = p.turns.take(context.Background(), w) // nothing ends that
	defer w.Leave()
	x := p.get()
	defer p.put(x)
	if c.failure = x.Load(m).Failure; c.failure != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ready[m.ID] == c { // it may have been the machine's fault
			delete(p.ready, m.ID)
			p.known = slices.DeleteFunc(p.known, func(id ID) bool { return id == m.ID })
		}
	}
}

// Close kills every executor. What they run ends in a Crash.
func (p *Pool) Close() {
	for _, x := range p.all {
		x.Close()
	}
}
