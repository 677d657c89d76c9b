// Package program knows what a program is to the server: its stages run in the
// sandbox, its parameters checked, and the built-in splitters and ways to
// collect that make a job of any plain WASI command.
package program

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"potluck/contract"
	"potluck/sandbox"
)

// Limits on what a job may be made of; see docs/operations.md.
const (
	MaxTasks  = 10_000_000
	MaxInputs = 256 << 20 // bytes of all inputs of a job
	MaxInput  = 16 << 20  // bytes of one input
	maxAnswer = 64 << 10  // bytes of a manifest
)

// The time that the stages on the server may take.
const (
	describeTime = sandbox.Brief
	stageTime    = 5 * time.Minute
)

// A Runner runs tasks: a sandbox.Pool, or an account's share of one.
type Runner interface {
	Run(ctx context.Context, t sandbox.Task) sandbox.Outcome
}

// A Program is a published module and what it says of itself. A plain program
// says nothing: its Manifest is nil.
type Program struct {
	Module sandbox.Module
	// Wide is the module with the memory that reduce and render may have; the zero
	// module stands for Module.
	Wide     sandbox.Module
	Manifest *contract.Manifest
}

// Describe asks a module for its manifest. A module that answers nothing
// useful is a plain program; one that does answer, but breaks the contract, is
// an error. So is one that could not be asked: a *sandbox.Failure whose kind says
// whether it does not compile, or this machine is at fault.
func Describe(ctx context.Context, run Runner, m sandbox.Module) (*contract.Manifest, error) {
	o := run.Run(ctx, sandbox.Task{
		Module: m, Args: []string{string(contract.Describe)}, Time: describeTime, Output: maxAnswer,
	})
	if f := o.Failure; f != nil && (f.Kind == sandbox.Load || f.Kind == sandbox.Machine || f.Kind == sandbox.Crash) {
		return nil, f
	}
	var probe struct {
		Contract *int `json:"contract"`
	}
	if o.Failure != nil || json.Unmarshal(o.Output, &probe) != nil || probe.Contract == nil {
		return nil, nil //nolint:nilnil // a plain program has no manifest
	}
	manifest, err := contract.ParseManifest(o.Output)
	if err != nil || len(manifest.Parameters) == 0 {
		return manifest, err
	}
	_, err = readSchema(manifest.Parameters)
	return manifest, err
}

// Has says whether the program answers to a stage. A plain program has only map.
func (p *Program) Has(s contract.Stage) bool {
	if p.Manifest == nil {
		return s == contract.Map
	}
	return p.Manifest.Has(s)
}

// MapArgs are the arguments that a task of a job runs with; a plain program
// takes those the submitter chose.
func (p *Program) MapArgs(chosen []string) []string {
	if p.Manifest == nil {
		return chosen
	}
	return []string{string(contract.Map)}
}

// Split runs the split stage and gives each input to yield, which may stop it
// with an error. Somebody waits for it, so it is tried as something brief first:
// most are, and then they do not wait behind what is not.
func (p *Program) Split(ctx context.Context, run Runner, params []byte, yield func([]byte) error) error {
	err := p.SplitBriefly(ctx, run, params, yield)
	if f, failed := errors.AsType[*sandbox.Failure](err); failed && f.Kind == sandbox.Time {
		return p.split(ctx, run, params, stageTime, yield)
	}
	return err
}

// SplitBriefly is Split for those who can do without it if it takes long.
func (p *Program) SplitBriefly(ctx context.Context, run Runner, params []byte, yield func([]byte) error) error {
	return p.split(ctx, run, params, sandbox.Brief, yield)
}

func (p *Program) split(ctx context.Context, run Runner, params []byte, limit time.Duration, yield func([]byte) error) error {
	out, err := p.stage(ctx, run, contract.Split, params, limit)
	if err != nil {
		return err
	}
	for record, err := range contract.Records(out) {
		if err == nil {
			err = yield(record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Reduce runs the reduce stage over parts in the order of their tasks.
func (p *Program) Reduce(ctx context.Context, run Runner, parts [][]byte) ([]byte, error) {
	var input []byte
	for _, part := range parts {
		input = contract.AppendRecord(input, part)
	}
	return p.stage(ctx, run, contract.Reduce, input, stageTime)
}

// Render runs the render stage, or gives the part as it is if there is none.
func (p *Program) Render(ctx context.Context, run Runner, params, part []byte) ([]byte, error) {
	if !p.Has(contract.Render) {
		return part, nil
	}
	return p.stage(ctx, run, contract.Render, contract.AppendRecord(contract.AppendRecord(nil, params), part), stageTime)
}

func (p *Program) stage(ctx context.Context, run Runner, s contract.Stage, input []byte, limit time.Duration) ([]byte, error) {
	module := p.Module
	if p.Wide.ID != "" && (s == contract.Reduce || s == contract.Render) {
		module = p.Wide
	}
	task := sandbox.Task{Module: module, Args: []string{string(s)}, Input: input, Time: limit, Output: MaxInputs}
	o := run.Run(ctx, task)
	if o.Failure != nil && o.Failure.Kind == sandbox.Crash && ctx.Err() == nil {
		o = run.Run(ctx, task) // once may be the machine's doing
	}
	if err := o.Err(); err != nil {
		return nil, fmt.Errorf("the %s stage failed: %w", s, err)
	}
	return o.Output, nil
}

// IsFault says whether an error is the fault of a job: its program failed, or
// made more than may be. All else is the server's trouble and no reason to end a job.
func IsFault(err error) bool {
	f, ok := errors.AsType[*sandbox.Failure](err)
	return ok && f.Kind != sandbox.Machine && f.Kind != sandbox.Load
}

// Inputs collects what a splitter yields, within the limits of a job.
type Inputs struct {
	Count, Largest int
	Bytes          int64
	// Keep stores the next input.
	Keep func([]byte) error
}

// Add takes one input.
func (in *Inputs) Add(input []byte) error {
	in.Count++
	in.Bytes += int64(len(input))
	in.Largest = max(in.Largest, len(input))
	switch {
	case in.Count > MaxTasks:
		return fmt.Errorf("the job has more than %d tasks: put more into each", MaxTasks)
	case in.Bytes > MaxInputs:
		return fmt.Errorf("the inputs of the job have more than %d bytes: make several jobs of it", MaxInputs)
	case len(input) > MaxInput:
		return fmt.Errorf("input %d has more than %d bytes: split more finely", in.Count-1, MaxInput)
	}
	return in.Keep(input)
}

// ErrNoTasks says that a splitter yielded nothing.
var ErrNoTasks = errors.New("there is nothing to do: splitting gave no tasks")
