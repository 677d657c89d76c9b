package main

import (
	"context"
	"sync"

	"potluck/sandbox"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

// A shelf is where an engine keeps modules.
type shelf interface {
	// put makes a module ready for the children; fetch gives its bytes if they
	// are not at hand.
	put(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) error
	module(hash string) sandbox.Module
	forget(hash string)
}

// engine computes tasks in executors, one a slot.
type engine struct {
	shelf
	spawn sandbox.Spawn
	mu    sync.Mutex
	pool  []*sandbox.Executor
}

// slot gives the executor of a slot.
func (e *engine) slot(n int) *sandbox.Executor {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.pool) <= n {
		e.pool = append(e.pool, sandbox.NewExecutor(e.spawn))
	}
	return e.pool[n]
}

// Load makes a module ready and has one executor compile it: the others find
// the machine code.
func (e *engine) Load(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) error {
	if err := e.put(ctx, hash, fetch); err != nil {
		return err
	}
	return e.slot(0).Load(e.module(hash))
}

// Forget drops a module.
func (e *engine) Forget(hash string) { e.forget(hash) }

// Start queues a task in the executor of a slot.
func (e *engine) Start(slot int, t agent.Task, done func(agent.Outcome)) (stop func()) {
	m := e.module(t.Module)
	m.Profile = t.Profile
	return e.slot(slot).Submit(sandbox.Task{
		Module: m, Args: t.Args, Input: t.Input, Time: t.Time, Output: t.Output,
	}, func(o sandbox.Outcome) {
		out := agent.Outcome{Output: o.Output, Took: o.Took}
		if o.Failure != nil {
			out.Failure = &wire.Failure{Kind: string(o.Failure.Kind), Message: o.Failure.Message, Stderr: o.Stderr}
		}
		done(out)
	})
}

// Close kills the executors.
func (e *engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.pool {
		x.Close()
	}
}
