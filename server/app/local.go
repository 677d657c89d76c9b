package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/shelf"
	"potluck/server/assemble"
	"potluck/server/program"
)

// A LocalJob is a job for this machine alone.
type LocalJob struct {
	Program string // name of a built-in program, or a file
	Params  []byte
	Args    []string
	Input   io.Reader // nil if there is none
	Split   string
	Collect string
	Slots   int    // tasks computed at a time; 0 is one a core
	Cache   string // folder for machine code; none if ""
	// Notice hears of trouble with the cache.
	Notice shelf.Notice
	// Progress is called now and then.
	Progress func(done, total int)
}

// RunLocal runs a whole job in this process and its executors, without a
// server, with the code that a server uses, and writes the artefact to w.
func RunLocal(ctx context.Context, j LocalJob, w io.Writer) error {
	if j.Slots <= 0 {
		j.Slots = runtime.GOMAXPROCS(0)
	}
	pool := sandbox.NewPool(j.Slots, process.Config{Cache: codeFolder(j.Cache), Notice: j.Notice}.Spawn)
	defer pool.Close()
	scratch, err := os.MkdirTemp("", "potluck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // a temporary folder
	p, err := j.open(ctx, pool)
	if err != nil {
		return err
	}
	params, err := p.CheckParams(j.Params)
	if err != nil {
		return err
	}
	inputs, err := j.inputs(ctx, p, pool, params)
	if err != nil {
		return err
	}
	collect, err := contract.ParseCollect(j.Collect)
	if err != nil {
		return err
	}
	if p.Manifest != nil && j.Collect == "" {
		collect = p.Manifest.Collect
	}
	assembly := assemble.New(assemble.Plan{Program: *p, Params: params, Collect: collect, Tasks: len(inputs)}, pool, scratch)
	defer assembly.Close()
	if err := j.compute(ctx, p, pool, inputs, assembly); err != nil {
		return err
	}
	return assembly.Write(ctx, w)
}

// codeFolder is where machine code is kept in a cache; nowhere without one.
func codeFolder(cache string) string {
	if cache == "" {
		return ""
	}
	return filepath.Join(cache, "code")
}

// inMemory gives executors a module of a profile that is on no disk.
func inMemory(data []byte, profile int) sandbox.Module {
	return sandbox.Module{ID: sandbox.Hash(data), Profile: profile, Source: func(context.Context) ([]byte, error) { return data, nil }}
}

// open finds the program and publishes it.
func (j *LocalJob) open(ctx context.Context, pool *sandbox.Pool) (*program.Program, error) {
	raw, err := j.module()
	if err != nil {
		return nil, err
	}
	published, err := profile.Publish(raw, sandbox.MaxMemory)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", j.Program, err)
	}
	m := inMemory(published.Module, sandbox.Profile)
	manifest, err := program.Describe(ctx, pool, m)
	return &program.Program{Module: m, Manifest: manifest}, err
}

func (j *LocalJob) module() ([]byte, error) {
	builtins, err := catalogue()
	for _, b := range builtins {
		if b.Name == j.Program {
			return b.Module, nil
		}
	}
	data, readErr := os.ReadFile(j.Program)
	if readErr != nil {
		return nil, errors.Join(fmt.Errorf("%q is neither a built-in program nor a file that can be read", j.Program), err)
	}
	return data, nil
}

func (j *LocalJob) inputs(ctx context.Context, p *program.Program, pool *sandbox.Pool, params []byte) (all [][]byte, err error) {
	in := program.Inputs{Keep: func(input []byte) error { all = append(all, append([]byte(nil), input...)); return nil }}
	switch {
	case p.Manifest != nil && p.Has(contract.Split):
		err = p.Split(ctx, pool, params, in.Add)
	default:
		err = j.splitInput(p, in.Add)
	}
	if err == nil && len(all) == 0 {
		err = program.ErrNoTasks
	}
	return all, err
}

func (j *LocalJob) splitInput(p *program.Program, add func([]byte) error) error {
	split := j.Split
	if split == "" && p.Manifest != nil {
		split = p.Manifest.Split
	}
	if split == "" {
		split = "lines"
	}
	s, err := program.ParseSplitter(split)
	if err != nil {
		return err
	}
	if s.NeedsData() && j.Input == nil {
		return errors.New("this program works on an input: give --input FILE, or --split range:FROM:TO")
	}
	return s.Split(j.Input, add)
}

// compute runs the map stage on all inputs, on all slots.
func (j *LocalJob) compute(ctx context.Context, p *program.Program, pool *sandbox.Pool, inputs [][]byte, assembly *assemble.Assembly) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var wait sync.WaitGroup
	for range j.Slots {
		wait.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(inputs) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := j.computeOne(ctx, p, pool, i, inputs[i], assembly); err != nil {
					cancel(fmt.Errorf("task %d: %w%s", i, err, program.InputNote(inputs[i])))
					return
				}
				if n := done.Add(1); j.Progress != nil {
					j.Progress(int(n), len(inputs))
				}
			}
		})
	}
	wait.Wait()
	return context.Cause(ctx)
}

func (j *LocalJob) computeOne(ctx context.Context, p *program.Program, pool *sandbox.Pool, i int, input []byte, assembly *assemble.Assembly) error {
	lent := time.Now()
	o := pool.Run(ctx, sandbox.Task{Module: p.Module, Args: p.MapArgs(j.Args), Input: input})
	if err := o.Err(); err != nil {
		return err
	}
	return assembly.Add(assemble.Record{
		Task: i, Voters: []assemble.Voter{{ID: "local", Millis: o.Took.Milliseconds()}},
		Lent: lent.UnixMilli(), Accepted: time.Now().UnixMilli(), Bytes: len(o.Output),
	}, o.Output)
}
