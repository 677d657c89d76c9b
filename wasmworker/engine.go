package main

import (
	"context"
	"sync"

	"potluck/sandbox"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

// modules is where an engine keeps modules.
type modules interface {
	// put makes a module ready for the children; fetch gives its bytes if they
	// are not there.
	put(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) *sandbox.Failure
	module(hash string) sandbox.Module
	forget(hash string)
}

// engine computes tasks in executors, one a slot.
type engine struct {
	modules
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
func (e *engine) Load(ctx context.Context, m agent.Module, fetch func(context.Context) ([]byte, error)) *wire.Failure {
	f := e.put(ctx, m.Hash, fetch)
	if f == nil {
		f = e.slot(0).Load(e.at(m)).Failure
	}
	if f == nil {
		return nil
	}
	return &wire.Failure{Kind: string(f.Kind), Message: f.Message}
}

// at gives a module as it is run.
func (e *engine) at(m agent.Module) sandbox.Module {
	module := e.module(m.Hash)
	module.Profile = m.Profile
	return module
}

// Forget drops a module.
func (e *engine) Forget(hash string) { e.forget(hash) }

// Start queues a task in the executor of a slot.
func (e *engine) Start(slot int, t agent.Task, done func(agent.Outcome)) (stop func()) {
	return e.slot(slot).Submit(sandbox.Task{
		Module: e.at(t.Module), Args: t.Args, Input: t.Input, Time: t.Time, Output: t.Output,
	}, func(o sandbox.Outcome) {
		out := agent.Outcome{Output: o.Output, Took: o.Took, Elapsed: o.Elapsed}
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
