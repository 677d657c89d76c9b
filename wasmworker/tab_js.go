package main

import (
	"context"
	"fmt"
	"sync"
	"syscall/js"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/wasmworker/agent"
)

// compiled keeps modules as the browser has compiled them.
type compiled struct {
	mu  sync.Mutex
	all map[sandbox.ID]js.Value // WebAssembly.Module
}

func newEngine(executor string) *engine {
	c := &compiled{all: map[sandbox.ID]js.Value{}}
	return &engine{modules: c, spawn: func() sandbox.Child { return newTab(executor, c) }}
}

func (c *compiled) module(hash string) sandbox.Module { return sandbox.Module{ID: sandbox.ID(hash)} }

func (c *compiled) forget(hash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, sandbox.ID(hash))
}

func (c *compiled) get(id sandbox.ID) js.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all[id]
}

func (c *compiled) put(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) *sandbox.Failure {
	data, err := fetch(ctx)
	if err != nil {
		return &sandbox.Failure{Kind: sandbox.Machine, Message: err.Error()}
	}
	module, err := agent.Await(js.Global().Get("WebAssembly").Call("compile", agent.ToJS(data)))
	if err != nil {
		return &sandbox.Failure{Kind: sandbox.Load, Message: fmt.Sprintf("compile module %s: %v", hash, err)}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[sandbox.ID(hash)] = module
	return nil
}

// A tab is a child that is a Web Worker: web/src/executor/executor.ts.
type tab struct {
	compiled *compiled
	worker   js.Value
	outcomes chan sandbox.Outcome
	hear     js.Func
	fail     js.Func
	ready    bool // it has answered
	why      string
}

func newTab(script string, c *compiled) *tab {
	t := &tab{compiled: c, outcomes: make(chan sandbox.Outcome, 2*sandbox.Window)}
	t.hear = js.FuncOf(func(_ js.Value, args []js.Value) any {
		t.ready = true
		t.outcomes <- outcome(args[0].Get("data")) // there is room for all that was asked for
		return nil
	})
	t.fail = js.FuncOf(func(_ js.Value, args []js.Value) any {
		t.why = agent.ErrorText(args[0])
		t.silence()
		close(t.outcomes)
		return nil
	})
	t.worker = js.Global().Get("Worker").New(script, map[string]any{"name": "potluck executor", "type": "module"})
	t.worker.Set("onmessage", t.hear)
	t.worker.Set("onerror", t.fail)
	return t
}

// Send hands the worker a task. A module needs no loading ahead: it goes along
// with each task, which costs the browser a reference.
func (t *tab) Send(r sandbox.Request) {
	if r.Load != nil {
		t.worker.Call("postMessage", map[string]any{"load": true})
		return
	}
	args := []any{contract.ProgramName}
	for _, a := range r.Task.Args {
		args = append(args, a)
	}
	input, seed := agent.ToJS(r.Task.Input), r.Task.Seed()
	t.worker.Call("postMessage", map[string]any{
		"module": t.compiled.get(r.Task.Module.ID), "args": args, "input": input,
		"seedLow": uint32(seed), "seedHigh": uint32(seed >> 32), "limit": r.Task.Output, "profile": r.Task.Module.Profile,
	}, []any{input.Get("buffer")})
}

// Outcomes gives the outcomes.
func (t *tab) Outcomes() <-chan sandbox.Outcome { return t.outcomes }

// Kill terminates the worker.
func (t *tab) Kill() {
	t.silence()
	t.worker.Call("terminate")
	t.hear.Release()
	t.fail.Release()
}

func (t *tab) silence() {
	t.worker.Set("onmessage", js.Null())
	t.worker.Set("onerror", js.Null())
}

// ExitReason is what the browser said of the worker's end.
func (t *tab) ExitReason() sandbox.Failure {
	if !t.ready {
		return sandbox.Failure{Kind: sandbox.Machine, Message: "an executor could not be started: " + t.why}
	}
	return sandbox.Failure{Kind: sandbox.Crash, Message: "the executor died: " + t.why}
}

// KeepsTime says that a browser cannot tell what a program computes.
func (t *tab) KeepsTime() bool { return false }

func outcome(o js.Value) sandbox.Outcome {
	took := time.Duration(o.Get("took").Float()) * time.Microsecond
	out := sandbox.Outcome{Stderr: agent.ToGo(o.Get("stderr")), Took: took, Elapsed: took}
	if kind := o.Get("kind").String(); kind != "" {
		out.Failure = &sandbox.Failure{Kind: sandbox.Kind(kind), Message: o.Get("message").String()}
		return out
	}
	out.Output = agent.ToGo(o.Get("output"))
	return out
}
