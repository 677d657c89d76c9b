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
	return store(t, p, err)
}

// capped stores a module that only a machine in trouble has: its own code sets
// what a published module sets when memory.grow fails.
func capped(t testing.TB, raw []byte) sandbox.Module {
	t.Helper()
	p, err := profile.Cap(raw, wasmtest.MaxMemory)
	return store(t, p, err)
}

func store(t testing.TB, p profile.Published, err error) sandbox.Module {
	t.Helper()
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

// TestProbes demands that both engines answer every call of WASI alike, and as
// the profile says where it says something.
func TestProbes(t *testing.T) {
	x, slow := start(t, Config{}), start(t, engines["interpreter"])
	for _, p := range wasmtest.Probes() {
		m := publish(t, p.Module)
		for _, profile := range sandbox.Profiles {
			m.Profile = profile
			task := sandbox.Task{Module: m, Input: []byte("some input")}
			one, two := runTask(x, task), runTask(slow, task)
			if !bytes.Equal(one.Output, two.Output) || (one.Failure == nil) != (two.Failure == nil) {
				t.Errorf("%s: %x, %v; %x, %v", p.Name, one.Output, one.Failure, two.Output, two.Failure)
			}
			if want, known := p.Answers[profile]; known && !bytes.Equal(one.Output, want) {
				t.Errorf("%s under profile %d: %x instead of %x", p.Name, profile, one.Output, want)
			}
		}
	}
}

// A profile from the future cannot be computed here, and nobody is to blame.
func TestUnknownProfile(t *testing.T) {
	m := publish(t, wasmtest.Echo())
	m.Profile = 1000
	o := runTask(start(t, Config{}), sandbox.Task{Module: m})
	if o.Failure == nil || o.Failure.Kind != sandbox.Machine {
		t.Errorf("%v", o.Failure)
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
	if o.Failure == nil || o.Failure.Kind != sandbox.Machine || !strings.Contains(o.Failure.Message, "could not be started") {
		t.Fatalf("got %v", o.Failure)
	}
}

// An executor that ends before it can run anything says nothing of the task.
func TestExecutorThatDoesNotComeUp(t *testing.T) {
	x := start(t, Config{Command: []string{os.Args[0], "-test.run=^$"}})
	o := runTask(x, sandbox.Task{Module: publish(t, wasmtest.Echo())})
	if o.Failure == nil || o.Failure.Kind != sandbox.Machine || !strings.Contains(o.Failure.Message, "could not be started") {
		t.Fatalf("got %v", o.Failure)
	}
}

func TestDamagedModuleIsNotRun(t *testing.T) {
	m := publish(t, wasmtest.Echo())
	if err := os.WriteFile(m.Path, wasmtest.Trap(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := start(t, Config{}).Load(m).Failure
	if f == nil || f.Kind != sandbox.Machine || !strings.Contains(f.Message, "damaged") {
		t.Fatalf("got %v", f)
	}
}

// A module whose file is missing, damaged or nowhere comes over the pipe.
func TestModuleThatTheDiskHasNot(t *testing.T) {
	x := start(t, Config{})
	for i, spoil := range []func(*sandbox.Module) error{
		func(m *sandbox.Module) error { return os.Remove(m.Path) },
		func(m *sandbox.Module) error { return os.Truncate(m.Path, 20) },
		func(m *sandbox.Module) error { return os.WriteFile(m.Path, wasmtest.Trap(), 0o600) },
		func(m *sandbox.Module) error { m.Path = ""; return nil },
	} {
		m := publish(t, wasmtest.Say(strings.Repeat("x", i))) // each is another one
		data, err := os.ReadFile(m.Path)
		if err = errors.Join(err, spoil(&m)); err != nil {
			t.Fatal(err)
		}
		m.Source = func(context.Context) ([]byte, error) { return data, nil }
		if o := runTask(x, sandbox.Task{Module: m}); o.Failure != nil || len(o.Output) != i {
			t.Errorf("way %d: %q, %v", i, o.Output, o.Failure)
		}
		m.Source = func(context.Context) ([]byte, error) { return nil, errors.New("the line is dead") }
		o := runTask(start(t, Config{}), sandbox.Task{Module: m})
		if o.Failure == nil || o.Failure.Kind != sandbox.Machine || !strings.Contains(o.Failure.Message, "the line is dead") {
			t.Errorf("way %d, and no other source: %v", i, o.Failure)
		}
	}
}

// cached gives what is in a cache, and runs an echo in a fresh executor with it.
// It says what the executor had to say of the cache.
func runCached(t *testing.T, cache string, m sandbox.Module) (notices []string) {
	t.Helper()
	said := make(chan string, 10)
	x := sandbox.NewExecutor(Config{Cache: cache, Notice: func(what, why string) { said <- what + ": " + why }}.Spawn)
	for range 2 {
		if o := runTask(x, sandbox.Task{Module: m, Input: []byte("x")}); string(o.Output) != "x" {
			t.Errorf("%q, %v", o.Output, o.Failure)
		}
	}
	x.Close()
	for {
		select {
		case text := <-said:
			notices = append(notices, text)
		default:
			return notices
		}
	}
}

func codeIn(t *testing.T, cache string, m sandbox.Module) (path string, data []byte) {
	t.Helper()
	files := codeFiles(filepath.Join(cache, string(m.ID)))
	if len(files) != 1 {
		t.Fatalf("in the cache: %v", files)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return files[0], data
}

// Whatever becomes of a file in the cache of machine code, programs run, and the
// next executor finds it whole.
func TestDamagedCodeHeals(t *testing.T) {
	cache, m := t.TempDir(), publish(t, wasmtest.Echo())
	if said := runCached(t, cache, m); len(said) > 0 {
		t.Error(said)
	}
	path, whole := codeIn(t, cache, m)
	for name, damage := range map[string]func() error{
		"empty":     func() error { return os.Truncate(path, 0) },
		"truncated": func() error { return os.Truncate(path, int64(len(whole)/2)) },
		"cut early": func() error { return os.Truncate(path, 10) },
		"other bits": func() error {
			return os.WriteFile(path, bytes.Replace(whole, whole[24:25], []byte{whole[24] ^ 1}, 1), 0o600)
		},
		"no hash":    func() error { return os.Remove(path + sumEnding) },
		"wrong hash": func() error { return os.WriteFile(path+sumEnding, []byte("abc"), 0o600) },
		"all gone":   func() error { return os.RemoveAll(cache) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := damage(); err != nil {
				t.Fatal(err)
			}
			if said := runCached(t, cache, m); len(said) > 0 {
				t.Error(said)
			}
			if again, data := codeIn(t, cache, m); again != path || !bytes.Equal(data, whole) {
				t.Errorf("%s has %d bytes instead of %d, or others", again, len(data), len(whole))
			}
			if hash, err := sum(path); err != nil || verify(filepath.Dir(filepath.Dir(path))) != nil {
				t.Errorf("%s, %v", hash, err)
			}
		})
	}
}

// Without a place for machine code programs run all the same, and the owner of
// the machine hears of it.
func TestCodeThatCannotBeKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := runCached(t, filepath.Join(file, "code"), publish(t, wasmtest.Echo())); len(said) != 1 || !strings.Contains(said[0], "cannot be kept") {
		t.Error(said)
	}
}

// The owner of a machine that has no memory for a program is told; the task is
// not to blame. A published module says so by a global.
func TestFailedGrowIsTheMachinesTrouble(t *testing.T) {
	for name, c := range engines {
		t.Run(name, func(t *testing.T) {
			x := start(t, c)
			for value, want := range map[int]sandbox.Kind{0: sandbox.Trap, 1: sandbox.Machine} {
				o := runTask(x, sandbox.Task{Module: capped(t, wasmtest.GrowFailed(value))})
				if o.Failure == nil || o.Failure.Kind != want {
					t.Errorf("with %d: %v", value, o.Failure)
				}
			}
		})
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
	if files, _ := filepath.Glob(filepath.Join(cache, "*", "*", "*")); len(files) == 0 {
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
