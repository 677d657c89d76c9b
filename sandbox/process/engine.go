package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"potluck/contract"
	"potluck/sandbox"
)

// maxCompiled is how many modules an engine keeps compiled in memory.
const maxCompiled = 8

// features of WebAssembly are those that all engines have; package profile
// refuses the others.
const features = api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall |
	experimental.CoreFeaturesExtendedConst | experimental.CoreFeaturesTypedFunctionReferences

// An engine runs tasks under wazero, one at a time, in this process. It has no
// way to stop a program: that is why it lives in a child process.
type engine struct {
	interpreter bool
	cache       *codeCache
	// read returns the verified bytes of a module.
	read     func(sandbox.Module) ([]byte, error)
	programs map[key]*compiled
	recent   []key // least recently used first
	memory   reservation
	watch    *watchdog
}

// A key names a module as programs of a profile run it.
type key struct {
	id      sandbox.ID
	profile int
}

// load returns a compiled module, which it reads and compiles unless it is there.
func (e *engine) load(ctx context.Context, m sandbox.Module) (*compiled, *sandbox.Failure) {
	k := key{m.ID, max(1, m.Profile)}
	if c, ok := e.programs[k]; ok {
		e.recent = append(slices.DeleteFunc(e.recent, func(other key) bool { return other == k }), k)
		return c, nil
	}
	if !slices.Contains(sandbox.Profiles, k.profile) {
		return nil, &sandbox.Failure{Kind: sandbox.Machine, Message: fmt.Sprintf("this version does not know profile %d", k.profile)}
	}
	data, err := e.read(m)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Machine, Message: err.Error()}
	}
	c, err := e.compile(ctx, m.ID, k.profile, data)
	if err != nil {
		return nil, &sandbox.Failure{Kind: sandbox.Load, Message: err.Error()}
	}
	if len(e.recent) == maxCompiled {
		e.programs[e.recent[0]].close(ctx)
		delete(e.programs, e.recent[0])
		e.recent = e.recent[1:]
	}
	e.programs[k], e.recent = c, append(e.recent, k)
	return c, nil
}

// compile compiles a module, with the cache if there is one and it works.
func (e *engine) compile(ctx context.Context, id sandbox.ID, profile int, data []byte) (*compiled, error) {
	var cacheError error
	if e.cache != nil {
		var c *compiled
		if c, cacheError = e.cache.compile(ctx, id, profile, data); c != nil {
			return c, c.linkable()
		}
	}
	config := wazero.NewRuntimeConfigCompiler()
	if e.interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	c, err := newCompiled(ctx, profile, data, config)
	if err != nil {
		return nil, fmt.Errorf("compile module %s: %w", id, err)
	}
	if cacheError != nil {
		e.cache.useless(cacheError)
	}
	return c, c.linkable()
}

// A compiled module has a runtime of its own: what WASI answers depends on its
// profile, and so does where its machine code is kept.
type compiled struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
	cache   wazero.CompilationCache // of its own, if it has one
	memory  uint64                  // bytes that it may have at the most
}

func newCompiled(ctx context.Context, profile int, data []byte, config wazero.RuntimeConfig) (*compiled, error) {
	r := wazero.NewRuntimeWithConfig(ctx, config.WithDebugInfoEnabled(false).WithCoreFeatures(features))
	err := instantiateWASI(ctx, r, profile)
	var m wazero.CompiledModule
	if err == nil {
		m, err = r.CompileModule(experimental.WithCompilationWorkers(ctx, 2), data)
	}
	if err != nil {
		_ = r.Close(ctx) // what went wrong before matters more
		return nil, err
	}
	c := &compiled{runtime: r, module: m}
	for _, memory := range m.ExportedMemories() {
		most, _ := memory.Max()
		c.memory = uint64(most) << 16
	}
	return c, nil
}

// close drops a module; no program runs in it.
func (c *compiled) close(ctx context.Context) {
	_ = c.runtime.Close(ctx)
	if c.cache != nil {
		_ = c.cache.Close(ctx)
	}
}

// linkable says whether WASI has all that a module imports. Where it is from
// was checked when it was published.
func (c *compiled) linkable() error {
	has := c.runtime.Module(sandbox.WASI).ExportedFunctionDefinitions()
	for _, f := range c.module.ImportedFunctions() {
		_, name, _ := f.Import()
		known, ok := has[name]
		if !ok {
			return fmt.Errorf("it imports %s.%s, and there is no such function in WASI preview 1", sandbox.WASI, name)
		}
		if !slices.Equal(known.ParamTypes(), f.ParamTypes()) || !slices.Equal(known.ResultTypes(), f.ResultTypes()) {
			return fmt.Errorf("it imports %s.%s with other parameters or results than WASI preview 1 has", sandbox.WASI, name)
		}
	}
	return nil
}

var errOutput = errors.New("too much output")

// run runs one task to its end.
func (e *engine) run(ctx context.Context, t sandbox.Task) sandbox.Outcome {
	c, f := e.load(ctx, t.Module)
	if f == nil && e.memory.reserve(c.memory) != nil {
		f = &sandbox.Failure{Kind: sandbox.Machine, Message: sandbox.NoMemory}
	}
	if f != nil {
		return sandbox.Outcome{Failure: f}
	}
	stdout := &limited{limit: t.Output}
	stderr := &limited{limit: sandbox.MaxStderr, drop: true}
	start := time.Now()
	e.watch.begin(t.Time)
	failed := e.start(ctx, c, t, stdout, stderr)
	o := sandbox.Outcome{Stderr: stderr.Bytes(), Failure: failed, Elapsed: time.Since(start)}
	o.Took = computing(o.Elapsed, e.watch.end())
	if o.Failure == nil {
		o.Output = stdout.Bytes()
	}
	return o
}

// start makes an instance, runs it to its end and leaves nothing of it.
func (e *engine) start(ctx context.Context, c *compiled, t sandbox.Task, stdout, stderr *limited) *sandbox.Failure {
	module, err := c.runtime.InstantiateModule(e.memory.with(ctx), c.module, config(t, stdout, stderr))
	if err == nil {
		_, err = module.ExportedFunction("_start").Call(ctx)
	}
	f := failure(t, err)
	if f != nil && f.Kind == sandbox.Trap && growFailed(module) {
		f = &sandbox.Failure{Kind: sandbox.Machine, Message: sandbox.NoMemory}
	}
	if module != nil {
		_ = module.Close(ctx)
	}
	return f
}

// growFailed says whether a program trapped because this machine had no memory
// for it.
func growFailed(module api.Module) bool {
	if module == nil {
		return false
	}
	g := module.ExportedGlobal(sandbox.GrowFailed)
	return g != nil && g.Type() == api.ValueTypeI32 && g.Get() == 1
}

func config(t sandbox.Task, stdout, stderr *limited) wazero.ModuleConfig {
	c := newClock()
	return wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithArgs(append([]string{contract.ProgramName}, t.Args...)...).
		WithStdin(bytes.NewReader(t.Input)).WithStdout(stdout).WithStderr(stderr).
		WithRandSource(&generator{state: t.Seed()}).
		WithWalltime(c.walltime, wallResolution).WithNanotime(c.nanotime, clockResolution).
		WithNanosleep(c.sleep)
}

// failure reads what a run returned, nil for one that went well.
func failure(t sandbox.Task, err error) *sandbox.Failure {
	var exit *sys.ExitError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errOutput):
		return &sandbox.Failure{Kind: sandbox.Output, Message: fmt.Sprintf("the program wrote more than %d bytes to stdout", t.Output)}
	case errors.As(err, &exit):
		if exit.ExitCode() == 0 {
			return nil
		}
		return &sandbox.Failure{Kind: sandbox.Exit, Message: fmt.Sprintf("the program exited with code %d", exit.ExitCode())}
	default:
		first, _, _ := strings.Cut(err.Error(), "\n")
		return &sandbox.Failure{Kind: sandbox.Trap, Message: "the program was stopped: " + first}
	}
}

// limited is a buffer with a limit. Past it a write drops what is too much, or
// else panics with errOutput, which ends the program at once.
type limited struct {
	bytes.Buffer
	limit int
	drop  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.limit - l.Len(); len(p) > room {
		if !l.drop {
			panic(errOutput)
		}
		l.Buffer.Write(p[:room])
		return len(p), nil
	}
	return l.Buffer.Write(p)
}
