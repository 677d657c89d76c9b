package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
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
	runtime wazero.Runtime
	modules map[sandbox.ID]wazero.CompiledModule
	recent  []sandbox.ID // least recently used first
}

// newEngine starts a runtime. With interpreter set it is wazero's interpreter,
// tens of times slower and only good for comparing; else its compiler, with
// machine code cached in the folder cache unless that is "".
func newEngine(ctx context.Context, interpreter bool, cache string) (*engine, error) {
	config := wazero.NewRuntimeConfigCompiler()
	if interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	} else if cache != "" {
		c, err := wazero.NewCompilationCacheWithDir(cache)
		if err != nil {
			return nil, fmt.Errorf("open the cache of compiled modules: %w", err)
		}
		config = config.WithCompilationCache(c)
	}
	r := wazero.NewRuntimeWithConfig(ctx, config.WithDebugInfoEnabled(false).WithCoreFeatures(features))
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, fmt.Errorf("set up WASI: %w", err)
	}
	return &engine{runtime: r, modules: map[sandbox.ID]wazero.CompiledModule{}}, nil
}

// load reads, verifies and compiles a module, unless it is at hand.
func (e *engine) load(ctx context.Context, m sandbox.Module) (wazero.CompiledModule, error) {
	if c, ok := e.modules[m.ID]; ok {
		return c, nil
	}
	data, err := os.ReadFile(m.Path)
	if err != nil {
		return nil, fmt.Errorf("read module %s: %w", m.ID, err)
	}
	if got := sandbox.Hash(data); got != m.ID {
		return nil, fmt.Errorf("module %s is damaged: its bytes hash to %s", m.ID, got)
	}
	c, err := e.runtime.CompileModule(experimental.WithCompilationWorkers(ctx, 2), data)
	if err != nil {
		return nil, fmt.Errorf("compile module %s: %w", m.ID, err)
	}
	if err := e.linkable(c); err != nil {
		return nil, err
	}
	if len(e.recent) == maxCompiled {
		_ = e.modules[e.recent[0]].Close(ctx)
		delete(e.modules, e.recent[0])
		e.recent = e.recent[1:]
	}
	e.modules[m.ID], e.recent = c, append(e.recent, m.ID)
	return c, nil
}

// linkable says whether WASI has all that a module imports. Where it is from
// was checked when it was published.
func (e *engine) linkable(c wazero.CompiledModule) error {
	has := e.runtime.Module(sandbox.WASI).ExportedFunctionDefinitions()
	for _, f := range c.ImportedFunctions() {
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
	compiled, err := e.load(ctx, t.Module)
	if err != nil {
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Load, Message: err.Error()}}
	}
	stdout := &limited{limit: t.Output}
	stderr := &limited{limit: sandbox.MaxStderr, drop: true}
	start := time.Now()
	module, err := e.runtime.InstantiateModule(withMemory(ctx), compiled, config(t, stdout, stderr))
	took := time.Since(start)
	if module != nil {
		_ = module.Close(ctx)
	}
	o := sandbox.Outcome{Stderr: stderr.Bytes(), Failure: failure(t, err), Took: took}
	if o.Failure == nil {
		o.Output = stdout.Bytes()
	}
	return o
}

func config(t sandbox.Task, stdout, stderr *limited) wazero.ModuleConfig {
	c := newClock()
	return wazero.NewModuleConfig().WithName("").
		WithArgs(append([]string{contract.ProgramName}, t.Args...)...).
		WithStdin(bytes.NewReader(t.Input)).WithStdout(stdout).WithStderr(stderr).
		WithRandSource(&generator{state: t.Seed()}).
		WithWalltime(c.walltime, wallResolution).WithNanotime(c.nanotime, clockResolution).
		WithNanosleep(c.sleep)
}

// failure reads what InstantiateModule returned, nil for a run that went well.
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
		return &sandbox.Failure{Kind: sandbox.Trap, Message: "the program was stopped: " + strings.TrimPrefix(first, "module[] function[_start] failed: ")}
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
