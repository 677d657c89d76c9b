package process

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
)

func TestMain(m *testing.M) {
	if IsExecutor() {
		if err := Main(); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// publish stores a module as the grid would.
func publish(t testing.TB, raw []byte) sandbox.Module {
	t.Helper()
	p, err := profile.Publish(raw, wasmtest.MaxMemory)
	if err != nil {
		t.Fatal(err)
	}
	m := sandbox.Module{ID: p.ID, Path: filepath.Join(t.TempDir(), "module.wasm"), Profile: sandbox.Profile}
	if err := os.WriteFile(m.Path, p.Module, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func start(t testing.TB, c Config) *sandbox.Executor {
	t.Helper()
	x := sandbox.NewExecutor(c.Spawn)
	t.Cleanup(x.Close)
	return x
}

func runTask(x *sandbox.Executor, task sandbox.Task) sandbox.Outcome {
	return x.Run(context.Background(), task)
}

var engines = map[string]Config{"compiler": {}, "interpreter": {Interpreter: true}}

// TestConformance demands the same of both of wazero's engines; the browsers'
// turn is in scripts/engines.
func TestConformance(t *testing.T) {
	for name, c := range engines {
		t.Run(name, func(t *testing.T) {
			x := start(t, c)
			for _, f := range wasmtest.Cases() {
				m := publish(t, f.Module)
				o := runTask(x, sandbox.Task{Module: m, Args: f.Args, Input: f.Input, Output: f.Limit})
				kind := ""
				if o.Failure != nil {
					kind = string(o.Failure.Kind)
				}
				if err := f.Check(string(m.ID), o.Output, o.Stderr, kind); err != nil {
					t.Errorf("%s: %v (%v)", f.Name, err, o.Failure)
				}
			}
		})
	}
}

// TestProbes demands that both engines answer every call of WASI alike.
func TestProbes(t *testing.T) {
	x, slow := start(t, Config{}), start(t, engines["interpreter"])
	for _, p := range wasmtest.Probes() {
		task := sandbox.Task{Module: publish(t, p.Module), Input: []byte("some input")}
		one, two := runTask(x, task), runTask(slow, task)
		if !bytes.Equal(one.Output, two.Output) || (one.Failure == nil) != (two.Failure == nil) {
			t.Errorf("%s: %x, %v; %x, %v", p.Name, one.Output, one.Failure, two.Output, two.Failure)
		}
	}
}

func TestRandomIsSeededByModuleStageAndInput(t *testing.T) {
	x, slow := start(t, Config{}), start(t, engines["interpreter"])
	m, other := publish(t, wasmtest.Random(64)), publish(t, wasmtest.Random(65))
	base := sandbox.Task{Module: m, Args: []string{"map"}, Input: []byte("1")}
	want := runTask(x, base).Output
	if again := runTask(slow, base).Output; !bytes.Equal(want, again) || len(want) != 64 {
		t.Fatalf("a replica got %x, not %x", again, want)
	}
	for name, task := range map[string]sandbox.Task{
		"input":  {Module: m, Args: []string{"map"}, Input: []byte("2")},
		"stage":  {Module: m, Args: []string{"render"}, Input: []byte("1")},
		"module": {Module: other, Args: []string{"map"}, Input: []byte("1")},
	} {
		if o := runTask(x, task); bytes.Equal(o.Output[:64], want) {
			t.Errorf("another %s got the same randomness", name)
		}
	}
}

// The first outputs of SplitMix64 for the seed 1234567, as published with
// Vigna's reference implementation (https://prng.di.unimi.it/splitmix64.c).
func TestSplitMix64(t *testing.T) {
	g := &generator{state: 1234567}
	for i, want := range []uint64{6457827717110365317, 3203168211198807973, 9817491932198370423} {
		if got := g.next(); got != want {
			t.Fatalf("output %d: got %d, want %d", i, got, want)
		}
	}
}

func TestRunawayIsKilledAndOthersGoOn(t *testing.T) {
	x := start(t, Config{})
	spin, echo := publish(t, wasmtest.Spin()), publish(t, wasmtest.Echo())
	got := make(chan sandbox.Outcome, 3)
	report := func(o sandbox.Outcome) { got <- o }
	x.Submit(sandbox.Task{Module: echo, Input: []byte("before")}, report)
	x.Submit(sandbox.Task{Module: spin, Time: 200 * time.Millisecond}, report)
	x.Submit(sandbox.Task{Module: echo, Input: []byte("after")}, report)
	before, runaway, after := <-got, <-got, <-got
	if string(before.Output) != "before" || string(after.Output) != "after" {
		t.Errorf("its neighbours gave %q and %q", before.Output, after.Output)
	}
	if runaway.Failure == nil || runaway.Failure.Kind != sandbox.Time {
		t.Errorf("the endless loop: %v", runaway.Failure)
	}
}

func TestCancel(t *testing.T) {
	x := start(t, Config{})
	spin, echo := publish(t, wasmtest.Spin()), publish(t, wasmtest.Echo())
	got := make(chan sandbox.Outcome, 3)
	report := func(o sandbox.Outcome) { got <- o }
	running := x.Submit(sandbox.Task{Module: spin}, report)
	waiting := x.Submit(sandbox.Task{Module: spin}, report)
	x.Submit(sandbox.Task{Module: echo, Input: []byte("after")}, report)
	waiting()
	running()
	for range 2 {
		if o := <-got; o.Failure == nil || o.Failure.Kind != sandbox.Crash {
			t.Fatalf("a cancelled task ended as %v", o.Failure)
		}
		waiting() // the second one is running by now, or over
	}
	if o := <-got; string(o.Output) != "after" {
		t.Fatalf("after the cancelled tasks: %q, %v", o.Output, o.Failure)
	}
}

func TestManyTasksInOrder(t *testing.T) {
	x := start(t, Config{})
	echo := publish(t, wasmtest.Echo())
	const n = 5000
	got := make(chan sandbox.Outcome, n)
	for i := range n {
		x.Submit(sandbox.Task{Module: echo, Input: binary.LittleEndian.AppendUint32(nil, uint32(i))}, func(o sandbox.Outcome) { got <- o })
	}
	for i := range n {
		if o := <-got; binary.LittleEndian.Uint32(o.Output) != uint32(i) {
			t.Fatalf("outcome %d is %x, %v", i, o.Output, o.Failure)
		}
	}
}

func TestExecutorThatCannotStart(t *testing.T) {
	x := start(t, Config{Command: []string{"/nonexistent/potluck", ExecutorArg}})
	o := runTask(x, sandbox.Task{Module: publish(t, wasmtest.Echo())})
	if o.Failure == nil || o.Failure.Kind != sandbox.Crash || !strings.Contains(o.Failure.Message, "could not be started") {
		t.Fatalf("got %v", o.Failure)
	}
}

func TestDamagedModuleIsNotRun(t *testing.T) {
	m := publish(t, wasmtest.Echo())
	if err := os.WriteFile(m.Path, wasmtest.Trap(), 0o600); err != nil {
		t.Fatal(err)
	}
	err := start(t, Config{}).Load(m)
	var f *sandbox.Failure
	if !errors.As(err, &f) || f.Kind != sandbox.Load || !strings.Contains(f.Message, "damaged") {
		t.Fatalf("got %v", err)
	}
}

func TestPoolCompilesOnceAndSharesTheCache(t *testing.T) {
	cache := t.TempDir()
	p := sandbox.NewPool(2, Config{Cache: cache}.Spawn)
	defer p.Close()
	echo := publish(t, wasmtest.Echo())
	for range 4 {
		if o := p.Run(t.Context(), sandbox.Task{Module: echo, Input: []byte("x")}); string(o.Output) != "x" {
			t.Fatalf("%q, %v", o.Output, o.Failure)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(files) == 0 {
		t.Error("nothing was cached on disk")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o := p.Run(ctx, sandbox.Task{Module: echo}); o.Failure == nil {
		t.Error("a run whose caller had gone gave an output")
	}
}

func TestGate(t *testing.T) {
	echo := publish(t, wasmtest.Echo())
	if err := sandbox.Gate(t.Context(), Config{}.Spawn, Config{Interpreter: true}.Spawn, sandbox.Task{Module: echo, Input: []byte("same")}); err != nil {
		t.Error(err)
	}
	if err := sandbox.Gate(t.Context(), Config{}.Spawn, Config{Interpreter: true}.Spawn, sandbox.Task{Module: publish(t, wasmtest.Trap())}); err != nil {
		t.Errorf("a failure is no verdict: %v", err)
	}
}

func BenchmarkInstance(b *testing.B) {
	x := start(b, Config{})
	task := sandbox.Task{Module: publish(b, wasmtest.Echo()), Input: make([]byte, 100)}
	slots, done := make(chan struct{}, sandbox.Window), make(chan struct{})
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		x.Submit(task, func(sandbox.Outcome) { <-slots })
	}
	x.Submit(task, func(sandbox.Outcome) { close(done) })
	<-done
}
