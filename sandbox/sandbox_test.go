package sandbox

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

	"potluck/sandbox/wasmtest"
)

func TestMain(m *testing.M) {
	if IsExecutor() {
		if err := ExecutorMain(); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// publish stores a module as the grid would.
func publish(t testing.TB, raw []byte) Module {
	t.Helper()
	data, err := Publish(raw, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	m := Module{ID: Hash(data), Path: filepath.Join(t.TempDir(), "module.wasm")}
	if err := os.WriteFile(m.Path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return m
}

func start(t testing.TB, c Config) *Executor {
	t.Helper()
	x := NewExecutor(c)
	t.Cleanup(x.Close)
	return x
}

func runTask(x *Executor, task Task) Outcome { return runOn(context.Background(), x, task) }

var engines = map[string]Config{"compiler": {}, "interpreter": {Interpreter: true}}

// TestConformance demands the same of every engine: see docs/programs.md.
func TestConformance(t *testing.T) {
	le := binary.LittleEndian
	clocks := func(readings ...uint64) (out []byte) {
		for _, r := range readings {
			out = le.AppendUint64(out, r)
		}
		return out
	}
	wall := uint64(1640995200e9) // 2022-01-01T00:00:00Z in ns
	big := bytes.Repeat([]byte("potluck "), 100_000)
	const pages = 64 << 20 / pageSize
	for name, c := range engines {
		t.Run(name, func(t *testing.T) {
			x := start(t, c)
			for name, f := range map[string]struct {
				module []byte
				input  []byte
				limit  int
				want   []byte
				stderr string
				fail   Kind
			}{
				"echo":        {module: wasmtest.Echo(), input: []byte("hello"), want: []byte("hello")},
				"empty input": {module: wasmtest.Echo()},
				"big echo":    {module: wasmtest.Echo(), input: big, want: big},
				"exit 0":      {module: wasmtest.Exit(0, "a note"), stderr: "a note"},
				"exit 3":      {module: wasmtest.Exit(3, "no luck"), stderr: "no luck", fail: Exit},
				"trap":        {module: wasmtest.Trap(), fail: Trap},
				"recursion":   {module: wasmtest.Recurse(), fail: Trap},
				"flood":       {module: wasmtest.Flood(), limit: 1 << 20, fail: Output},
				"memory":      {module: wasmtest.Hog(), want: le.AppendUint32(nil, pages-pages%16-15)},
				"clocks":      {module: wasmtest.Clocks(5e9), want: clocks(wall, wall+1e6, 0, 5e9+1e6)},
			} {
				o := runTask(x, Task{Module: publish(t, f.module), Input: f.input, Output: f.limit})
				var kind Kind
				if o.Failure != nil {
					kind = o.Failure.Kind
				}
				if kind != f.fail || !bytes.Equal(o.Output, f.want) || string(o.Stderr) != f.stderr {
					t.Errorf("%s: %d bytes %.40x, stderr %q, failure %v; want %d bytes %.40x, stderr %q, failure %q",
						name, len(o.Output), o.Output, o.Stderr, o.Failure, len(f.want), f.want, f.stderr, f.fail)
				}
			}
		})
	}
}

func TestRandomIsSeededByModuleStageAndInput(t *testing.T) {
	x, slow := start(t, Config{}), start(t, engines["interpreter"])
	m, other := publish(t, wasmtest.Random(64)), publish(t, wasmtest.Random(65))
	base := Task{Module: m, Args: []string{"map"}, Input: []byte("1")}
	want := runTask(x, base).Output
	if again := runTask(slow, base).Output; !bytes.Equal(want, again) || len(want) != 64 {
		t.Fatalf("a replica got %x, not %x", again, want)
	}
	for name, task := range map[string]Task{
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
	got := make(chan Outcome, 3)
	report := func(o Outcome) { got <- o }
	x.Submit(Task{Module: echo, Input: []byte("before")}, report)
	x.Submit(Task{Module: spin, Time: 200 * time.Millisecond}, report)
	x.Submit(Task{Module: echo, Input: []byte("after")}, report)
	before, runaway, after := <-got, <-got, <-got
	if string(before.Output) != "before" || string(after.Output) != "after" {
		t.Errorf("its neighbours gave %q and %q", before.Output, after.Output)
	}
	if runaway.Failure == nil || runaway.Failure.Kind != Time {
		t.Errorf("the endless loop: %v", runaway.Failure)
	}
}

func TestCancel(t *testing.T) {
	x := start(t, Config{})
	spin, echo := publish(t, wasmtest.Spin()), publish(t, wasmtest.Echo())
	got := make(chan Outcome, 3)
	report := func(o Outcome) { got <- o }
	running := x.Submit(Task{Module: spin}, report)
	waiting := x.Submit(Task{Module: spin}, report)
	x.Submit(Task{Module: echo, Input: []byte("after")}, report)
	waiting()
	running()
	for range 2 {
		if o := <-got; o.Failure == nil || o.Failure.Kind != Crash {
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
	got := make(chan Outcome, n)
	for i := range n {
		x.Submit(Task{Module: echo, Input: binary.LittleEndian.AppendUint32(nil, uint32(i))}, func(o Outcome) { got <- o })
	}
	for i := range n {
		if o := <-got; binary.LittleEndian.Uint32(o.Output) != uint32(i) {
			t.Fatalf("outcome %d is %x, %v", i, o.Output, o.Failure)
		}
	}
}

func TestExecutorThatCannotStart(t *testing.T) {
	x := start(t, Config{Command: []string{"/nonexistent/potluck", ExecutorArg}})
	o := runTask(x, Task{Module: publish(t, wasmtest.Echo())})
	if o.Failure == nil || o.Failure.Kind != Crash || !strings.Contains(o.Failure.Message, "could not be started") {
		t.Fatalf("got %v", o.Failure)
	}
}

func TestDamagedModuleIsNotRun(t *testing.T) {
	m := publish(t, wasmtest.Echo())
	if err := os.WriteFile(m.Path, wasmtest.Trap(), 0o600); err != nil {
		t.Fatal(err)
	}
	err := start(t, Config{}).Load(m)
	var f *Failure
	if !errors.As(err, &f) || f.Kind != Load || !strings.Contains(f.Message, "damaged") {
		t.Fatalf("got %v", err)
	}
}

func TestPoolCompilesOnceAndSharesTheCache(t *testing.T) {
	cache := t.TempDir()
	p := NewPool(2, Config{Cache: cache})
	defer p.Close()
	echo := publish(t, wasmtest.Echo())
	for range 4 {
		if o := p.Run(t.Context(), Task{Module: echo, Input: []byte("x")}); string(o.Output) != "x" {
			t.Fatalf("%q, %v", o.Output, o.Failure)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(files) == 0 {
		t.Error("nothing was cached on disk")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if o := p.Run(ctx, Task{Module: echo}); o.Failure == nil {
		t.Error("a run whose caller had gone gave an output")
	}
}

func TestGate(t *testing.T) {
	echo := publish(t, wasmtest.Echo())
	if err := Gate(t.Context(), Config{}, Task{Module: echo, Input: []byte("same")}); err != nil {
		t.Error(err)
	}
	if err := Gate(t.Context(), Config{}, Task{Module: publish(t, wasmtest.Trap())}); err != nil {
		t.Errorf("a failure is no verdict: %v", err)
	}
	if err := compare("m", []byte("abc"), []byte("abd")); err == nil || !strings.Contains(err.Error(), "byte 2") {
		t.Errorf("different outputs: %v", err)
	}
}

func TestPublishRefuses(t *testing.T) {
	echo := wasmtest.Echo()
	for name, c := range map[string]struct {
		module []byte
		want   string
	}{
		"not wasm":   {[]byte("#!/bin/sh"), "not a WebAssembly module"},
		"empty":      {nil, "not a WebAssembly module"},
		"component":  {[]byte("\x00asm\x0d\x00\x01\x00"), "component"},
		"cut short":  {echo[:len(echo)-20], "cut short"},
		"no start":   {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x00\x01"), "_start"},
		"no memory":  {[]byte("\x00asm\x01\x00\x00\x00"), "no memory"},
		"shared":     {[]byte("\x00asm\x01\x00\x00\x00\x05\x04\x01\x03\x01\x02"), "threads"},
		"wide":       {[]byte("\x00asm\x01\x00\x00\x00\x05\x03\x01\x04\x01"), "64-bit"},
		"memory":     {wasmtest.Module(2000, byte(0x0b)), "125 MiB"},
		"imports":    {wasmtest.Import("env", "launch_missiles"), "env.launch_missiles"},
		"javascript": {wasmtest.Import("gojs", "syscall/js.valueGet"), "gojs.syscall/js.valueGet"},
	} {
		if _, err := Publish(c.module, 64<<20); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
	if _, err := Publish(make([]byte, MaxModule+1), 64<<20); err == nil {
		t.Error("accepted a module that is too large")
	}
}

func TestPublishTwiceChangesNothing(t *testing.T) {
	once, err := Publish(wasmtest.Echo(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Publish(once, 64<<20)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("%x became %x, %v", once, twice, err)
	}
}

func FuzzPublish(f *testing.F) {
	f.Add(wasmtest.Echo())
	f.Add(wasmtest.Import("env", "f"))
	f.Fuzz(func(t *testing.T, module []byte) {
		once, err := Publish(module, 64<<20)
		if err != nil {
			return
		}
		if twice, err := Publish(once, 64<<20); err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("publishing again: %x, %v; want %x", twice, err, once)
		}
	})
}

func BenchmarkInstance(b *testing.B) {
	x := start(b, Config{})
	task := Task{Module: publish(b, wasmtest.Echo()), Input: make([]byte, 100)}
	slots, done := make(chan struct{}, window), make(chan struct{})
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		x.Submit(task, func(Outcome) { <-slots })
	}
	x.Submit(task, func(Outcome) { close(done) })
	<-done
}
