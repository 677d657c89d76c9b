// Package mapreduce is the SDK for programs written in Go: a program is a
// value of type [Program], and main calls [Main] with it.
//
//	func main() {
//		mapreduce.Main(mapreduce.Program[Params, Input, Part]{
//			Name: "square", Title: "Squares", …
//			Split: func(p Params) ([]Input, error) { … },
//			Map:   func(in Input) (Part, error) { … },
//		})
//	}
//
// Inputs and parts travel as JSON; a type that is []byte or has MarshalBinary
// and UnmarshalBinary travels as these bytes. The program must compute the
// same bytes for the same input: no clocks, no map order in outputs.
package mapreduce

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"potluck/contract"
)

// A Program is what the grid needs to know and call. Params are what a
// submitter chooses, an Input is what one task gets, a Part is what a task
// gives and what parts are reduced to.
type Program[Params, Input, Part any] struct {
	// Name, Title and Summary are as in the manifest.
	Name, Title, Summary string
	// Result is the media type of the artefact.
	Result string
	// Defaults are the parameters where a submitter is silent. The schema of
	// the parameters is read off this type: see [Schema].
	Defaults Params
	// Examples are other parameters worth trying.
	Examples []Params
	// Check refuses parameters that cannot be computed. Optional.
	Check func(Params) error
	// Split cuts the job into the inputs of its tasks.
	Split func(Params) ([]Input, error)
	// Input names the built-in splitter for a program whose input is text or
	// data instead of parameters; then Input is string or []byte and Split nil.
	Input string
	// Map computes one task.
	Map func(Input) (Part, error)
	// Reduce joins two neighbours, the earlier first. It must be exactly
	// associative. Without it parts are collected as Collect says.
	Reduce func(a, b Part) (Part, error)
	// Render makes the artefact from the parameters and the one part that is
	// left, perhaps while tasks are still missing. Without it the part is the
	// artefact.
	Render func(Params, Part) ([]byte, error)
	// Collect is how parts are put together without Reduce.
	Collect contract.Collect
}

// Main runs the stage that the first argument names, and ends the process.
func Main[Params, Input, Part any](p Program[Params, Input, Part]) {
	if err := p.run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, p.Name+":", err)
		os.Exit(1)
	}
}

func (p *Program[Params, Input, Part]) run(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("want one argument, the stage: describe, split, map, reduce or render")
	}
	input, err := io.ReadAll(stdin)
	if err != nil {
		return err
	}
	output, err := p.stage(contract.Stage(args[0]), input)
	if err != nil {
		return err
	}
	_, err = stdout.Write(output)
	return err
}

func (p *Program[Params, Input, Part]) stage(s contract.Stage, input []byte) ([]byte, error) {
	switch {
	case s == contract.Describe:
		return p.describe()
	case s == contract.Split && p.Split != nil:
		return p.split(input)
	case s == contract.Map:
		return p.mapOne(input)
	case s == contract.Reduce && p.Reduce != nil:
		return p.reduce(input)
	case s == contract.Render && p.Render != nil:
		return p.render(input)
	}
	return nil, fmt.Errorf("no stage %q here", s)
}

func (p *Program[Params, Input, Part]) describe() ([]byte, error) {
	m := contract.Manifest{
		Contract: contract.Version, Name: p.Name, Title: p.Title, Summary: p.Summary,
		Result: p.Result, Split: p.Input, Collect: p.Collect,
	}
	for _, s := range []struct {
		stage contract.Stage
		has   bool
	}{
		{contract.Split, p.Split != nil},
		{contract.Map, true},
		{contract.Reduce, p.Reduce != nil},
		{contract.Render, p.Render != nil},
	} {
		if s.has {
			m.Stages = append(m.Stages, s.stage)
		}
	}
	var err error
	if m.Parameters, err = Schema(p.Defaults, p.Examples...); err != nil {
		return nil, err
	}
	return json.MarshalIndent(m, "", "  ")
}

// params reads parameters over a copy of the defaults: JSON would write into
// their lists.
func (p *Program[Params, Input, Part]) params(data []byte) (v Params, err error) {
	defaults, err := json.Marshal(p.Defaults)
	if err != nil {
		return v, err
	}
	for _, layer := range [][]byte{defaults, data} {
		if err := json.Unmarshal(layer, &v); err != nil {
			return v, fmt.Errorf("read the parameters: %w", err)
		}
	}
	if p.Check != nil {
		return v, p.Check(v)
	}
	return v, nil
}

func (p *Program[Params, Input, Part]) split(input []byte) ([]byte, error) {
	params, err := p.params(input)
	if err != nil {
		return nil, err
	}
	inputs, err := p.Split(params)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, in := range inputs {
		b, err := encode(in)
		if err != nil {
			return nil, err
		}
		out = contract.AppendRecord(out, b)
	}
	return out, nil
}

func (p *Program[Params, Input, Part]) mapOne(input []byte) ([]byte, error) {
	var in Input
	if err := decode(input, &in); err != nil {
		return nil, fmt.Errorf("read the task's input: %w", err)
	}
	part, err := p.Map(in)
	if err != nil {
		return nil, err
	}
	return encode(part)
}

func (p *Program[Params, Input, Part]) reduce(input []byte) ([]byte, error) {
	var sum Part
	first := true
	for record, err := range contract.Records(input) {
		if err != nil {
			return nil, err
		}
		var part Part
		if err := decode(record, &part); err != nil {
			return nil, fmt.Errorf("read a part: %w", err)
		}
		if first {
			sum, first = part, false
		} else if sum, err = p.Reduce(sum, part); err != nil {
			return nil, err
		}
	}
	return encode(sum)
}

func (p *Program[Params, Input, Part]) render(input []byte) ([]byte, error) {
	first, rest, err := contract.NextRecord(input)
	if err != nil {
		return nil, err
	}
	params, err := p.params(first)
	if err != nil {
		return nil, err
	}
	second, _, err := contract.NextRecord(rest)
	if err != nil {
		return nil, err
	}
	var part Part
	if err := decode(second, &part); err != nil {
		return nil, fmt.Errorf("read the part: %w", err)
	}
	return p.Render(params, part)
}
