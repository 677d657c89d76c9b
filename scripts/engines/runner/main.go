// Command runner is a runner for another processor: qemu-user runs it, and it
// starts its executors under qemu-user too, which a released runner cannot
// know of. It computes as potluck-worker does, with one slot.
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
	"runtime"
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
	emulator := flag.String("emulator", "", "command that runs this binary")
	cache := flag.String("cache", "", "folder for modules and machine code")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		exit(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	e := &engine{dir: *cache}
	e.executor = sandbox.NewExecutor(process.Config{Command: []string{*emulator, self, process.ExecutorArg}, Cache: filepath.Join(*cache, "code")}.Spawn)
	defer e.executor.Close()
	exit(agent.New(agent.Config{
		Server: *server, Engine: e, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Observe: func(agent.Event) {},
		Hello: wire.Hello{Name: *name, Secret: secret, Slots: 1, Engine: "wazero", Platform: runtime.GOOS + "/" + runtime.GOARCH, Profiles: sandbox.Profiles},
	}).Run(ctx))
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "runner:", err)
	os.Exit(1)
}

// An engine computes in one executor.
type engine struct {
	dir      string
	executor *sandbox.Executor
}

func (e *engine) module(m agent.Module) sandbox.Module {
	return sandbox.Module{ID: sandbox.ID(m.Hash), Path: filepath.Join(e.dir, m.Hash+".wasm"), Profile: m.Profile}
}

// Load lays a module on the disk and compiles it.
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

// Start computes a task.
func (e *engine) Start(_ int, t agent.Task, done func(agent.Outcome)) (stop func()) {
	task := sandbox.Task{Module: e.module(t.Module), Args: t.Args, Input: t.Input, Time: t.Time, Output: t.Output}
	return e.executor.Submit(task, func(o sandbox.Outcome) {
		out := agent.Outcome{Output: o.Output, Took: o.Took, Elapsed: o.Elapsed}
		if o.Failure != nil {
			out.Failure = &wire.Failure{Kind: string(o.Failure.Kind), Message: o.Failure.Message, Stderr: o.Stderr}
		}
		done(out)
	})
}
