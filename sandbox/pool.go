package sandbox

import (
	"context"
	"sync"
)

// A Pool shares a number of executors between callers.
type Pool struct {
	free  chan *Executor
	mu    sync.Mutex
	ready map[ID]*compiled
}

type compiled struct {
	done    chan struct{}
	failure *Failure
}

// NewPool starts a pool of n executors.
func NewPool(n int, s Spawn) *Pool {
	p := &Pool{free: make(chan *Executor, n), ready: map[ID]*compiled{}}
	for range n {
		p.free <- NewExecutor(s)
	}
	return p
}

// Run runs one task as soon as an executor is free. Its outcome is a Crash if
// ctx ends first.
func (p *Pool) Run(ctx context.Context, t Task) Outcome {
	if f := p.compiled(ctx, t.Module); f != nil {
		return Outcome{Failure: f}
	}
	select {
	case x := <-p.free:
		defer func() { p.free <- x }()
		return x.Run(ctx, t)
	case <-ctx.Done():
		return cancelled
	}
}

// compiled makes sure that a module compiles, once however many ask for it; the
// executors then take the machine code from the cache on disk.
func (p *Pool) compiled(ctx context.Context, m Module) *Failure {
	p.mu.Lock()
	c, started := p.ready[m.ID]
	if !started {
		c = &compiled{done: make(chan struct{})}
		p.ready[m.ID] = c
		go p.compile(m, c)
	}
	p.mu.Unlock()
	select {
	case <-c.done:
		return c.failure
	case <-ctx.Done():
		return cancelled.Failure
	}
}

func (p *Pool) compile(m Module, c *compiled) {
	defer close(c.done)
	x := <-p.free
	defer func() { p.free <- x }()
	if c.failure = x.Load(m).Failure; c.failure != nil {
		p.mu.Lock()
		delete(p.ready, m.ID) // it may have been the machine's fault
		p.mu.Unlock()
	}
}

// Close kills every executor, once their tasks are over.
func (p *Pool) Close() {
	for range cap(p.free) {
		(<-p.free).Close()
	}
}
