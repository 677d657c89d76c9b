// Package engines runs one suite on every engine that computes for a grid, and
// demands the same bytes of all: wazero's compiler and its interpreter, on this
// machine's processor and on arm64, and the compilers of two browsers.
package engines

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
)

var (
	// dir is for what the engines write.
	dir string
	// arm64 is a runner for arm64. It and its executors run under qemu-user, which
	// computes as the processor would.
	arm64 string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if process.IsExecutor() {
		if err := process.Main(); err != nil {
			panic(err)
		}
		return 0
	}
	flag.Parse()
	if files, _ := filepath.Glob(executors); len(files) != 1 {
		fmt.Fprintln(os.Stderr, "the pages were never built: make web does it")
		return 1
	}
	var err error
	if dir, err = os.MkdirTemp("", "potluck-engines-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	arm64 = filepath.Join(dir, "runner")
	build := exec.Command("go", "build", "-o", arm64, "potluck/scripts/engines/runner")
	build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the runner for arm64: %v\n%s", err, out)
		return 1
	}
	defer closeAll()
	return m.Run()
}

// An engine runs tasks, one at a time.
type engine interface {
	run(t *testing.T, module []byte, task sandbox.Task) outcome
	close()
}

// An outcome is what became of a task.
type outcome struct {
	output, stderr []byte
	kind, message  string
}

func (o outcome) String() string {
	return fmt.Sprintf("%d bytes %.40x, stderr %q, failure %q (%s)", len(o.output), o.output, o.stderr, o.kind, o.message)
}

// A volunteer is an engine that starts with its first test and ends with the
// last. Compilers that take their time compute one in so many of the random functions.
type volunteer struct {
	name    string
	start   func(t *testing.T) engine
	one     int
	started engine
}

var volunteers = []*volunteer{
	{name: "wazero compiler " + runtime.GOARCH, start: native(process.Config{}), one: 1},
	{name: "wazero interpreter " + runtime.GOARCH, start: native(process.Config{Interpreter: true}), one: 1},
	{name: "wazero compiler arm64", start: emulated(process.Config{}), one: 10},
	{name: "wazero interpreter arm64", start: emulated(process.Config{Interpreter: true}), one: 2},
	{name: "Chromium", start: chromium(), one: 1},
	{name: "Chromium, Liftoff only", start: chromium("--js-flags=--liftoff-only"), one: 1},
	{name: "Chromium, TurboFan only", start: chromium("--js-flags=--no-liftoff"), one: 10},
	{name: "Firefox, baseline only", start: firefox("javascript.options.wasm_optimizingjit"), one: 2},
	{name: "Firefox, optimising only", start: firefox("javascript.options.wasm_baselinejit"), one: 5},
}

// everywhere runs a test on every engine.
func everywhere(t *testing.T, test func(t *testing.T, e engine, v *volunteer)) {
	t.Helper()
	for _, v := range volunteers {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			if v.started == nil {
				v.started = v.start(t)
			}
			test(t, v.started, v)
		})
	}
}

func closeAll() {
	for _, v := range volunteers {
		if v.started != nil {
			v.started.close()
		}
	}
}

// published makes of a module what the grid runs.
func published(t *testing.T, raw []byte) []byte {
	t.Helper()
	p, err := profile.Publish(raw, wasmtest.MaxMemory)
	if err != nil {
		t.Fatal(err)
	}
	return p.Module
}

// wazero is an engine in a process of its own.
type wazero struct {
	executor *sandbox.Executor
	file     string // the module
}

func native(c process.Config) func(t *testing.T) engine {
	return func(t *testing.T) engine {
		t.Helper()
		return &wazero{sandbox.NewExecutor(c.Spawn), filepath.Join(folder(t), "module.wasm")}
	}
}

func emulated(c process.Config) func(t *testing.T) engine {
	return func(t *testing.T) engine {
		t.Helper()
		c.Command = []string{"qemu-aarch64", arm64, process.ExecutorArg}
		return native(c)(t)
	}
}

// folder makes a folder that outlives the test.
func folder(t *testing.T) string {
	t.Helper()
	made, err := os.MkdirTemp(dir, "") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// complete fills in what a grid says of a task.
func complete(task sandbox.Task, module []byte) sandbox.Task {
	task.Module.ID = sandbox.Hash(module)
	task.Module.Profile = cmp.Or(task.Module.Profile, sandbox.Profile)
	task.Output = cmp.Or(task.Output, sandbox.DefaultOutput)
	task.Time = patience
	return task
}

func (w *wazero) close() { w.executor.Close() }

func (w *wazero) run(t *testing.T, module []byte, task sandbox.Task) outcome {
	t.Helper()
	task = complete(task, module)
	task.Module.Path = w.file
	if err := os.WriteFile(w.file, module, 0o600); err != nil {
		t.Fatal(err)
	}
	o := w.executor.Run(context.Background(), task)
	out := outcome{output: o.Output, stderr: o.Stderr}
	if o.Failure != nil {
		out.kind, out.message = string(o.Failure.Kind), o.Failure.Message
	}
	return out
}
