// Command liar is a runner that lies: it computes like any other and then sends
// something else. It is here to attack our own grids, and nothing that is
// released contains it.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

func main() {
	if process.IsExecutor() {
		exit(process.Main())
	}
	server := flag.String("server", "", "URL of the grid")
	name := flag.String("name", "", "what to be called")
	after := flag.Int64("after", 0, "how many honest answers come first")
	agree := flag.Bool("agree", false, "tell the lie that all who agree tell")
	cache := flag.String("cache", "", "folder for modules and machine code")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	e := &engine{dir: *cache, after: *after, lie: 1}
	if !*agree {
		e.lie = 2 + secret[0]%250
	}
	e.executor = sandbox.NewExecutor(process.Config{Cache: filepath.Join(*cache, "code"), Low: true}.Spawn)
	defer e.executor.Close()
	exit(agent.New(agent.Config{
		Server: *server, Engine: e, Log: slog.New(slog.DiscardHandler), Observe: func(agent.Event) {},
		Hello: wire.Hello{Name: *name, Secret: secret, Slots: 1, Engine: "wazero", Profiles: sandbox.Profiles},
	}).Run(ctx))
}

// exit ends with status 3 if the grid wants no more of it.
func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "liar:", err)
	if _, refused := errors.AsType[*agent.RefusedError](err); refused {
		os.Exit(3)
	}
	os.Exit(1)
}

// An engine computes in one executor, and lies about it.
type engine struct {
	dir      string
	executor *sandbox.Executor
	after    int64
	answers  atomic.Int64
	lie      byte // what the last byte of an output is changed by
}

func (e *engine) module(m agent.Module) sandbox.Module {
	return sandbox.Module{ID: sandbox.ID(m.Hash), Path: filepath.Join(e.dir, m.Hash+".wasm"), Profile: m.Profile}
}

// Load lays a module on the disk.
func (e *engine) Load(ctx context.Context, wanted agent.Module, fetch func(context.Context) ([]byte, error)) *wire.Failure {
	m := e.module(wanted)
	data, err := fetch(ctx)
	if err == nil {
		err = errors.Join(os.MkdirAll(e.dir, 0o700), os.WriteFile(m.Path, data, 0o600))
	}
	if err == nil {
		err = e.executor.Load(m).Err()
	}
	if err != nil {
		return &wire.Failure{Kind: string(sandbox.Machine), Message: err.Error()}
	}
	return nil
}

// Forget keeps the file.
func (e *engine) Forget(string) {}

// Start computes a task, and lies once enough honest answers were given.
func (e *engine) Start(_ int, t agent.Task, done func(agent.Outcome)) (stop func()) {
	task := sandbox.Task{Module: e.module(t.Module), Args: t.Args, Input: t.Input, Time: t.Time, Output: t.Output}
	return e.executor.Submit(task, func(o sandbox.Outcome) {
		out := agent.Outcome{Output: o.Output, Took: o.Took, Elapsed: o.Elapsed}
		if o.Failure != nil {
			out.Failure = &wire.Failure{Kind: string(o.Failure.Kind), Message: o.Failure.Message, Stderr: o.Stderr}
		} else if e.answers.Add(1) > e.after && len(out.Output) > 0 {
			out.Output = slices.Clone(out.Output)
			out.Output[len(out.Output)-1] ^= e.lie
		}
		done(out)
	})
}
