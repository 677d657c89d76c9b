// Package contract is the module contract: what a program and the grid promise
// each other. It holds the stage names, the record framing and the manifest,
// and is shared by the SDK inside a program and by the machines that run it.
//
// The contract in words stands in docs/programs.md.
package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Version is the version of the module contract that this tree speaks.
const Version = 1

// A Stage is the first argument (argv[1]) that a program is run with.
type Stage string

// The stages of a program. Only Map is required.
const (
	Describe Stage = "describe" // nothing → manifest (JSON)
	Split    Stage = "split"    // parameters (JSON) → task inputs, as records
	Map      Stage = "map"      // one task input → its part
	Reduce   Stage = "reduce"   // parts in task order, as records → one part
	Render   Stage = "render"   // parameters, then a part, as records → the artefact
)

// ProgramName is argv[0] of every program, so that replicas agree.
const ProgramName = "program"

// A Collect says how the outputs of a program without a reduce stage are put
// together, always in the order of the tasks.
type Collect string

// The ways to collect outputs.
const (
	Concat Collect = "concat" // one after the other, as they are
	NDJSON Collect = "ndjson" // one JSON object a line: task, volunteers, times, output
	JSON   Collect = "json"   // the same objects as one JSON array
)

// ParseCollect reads the name of a way to collect; "" is Concat.
func ParseCollect(s string) (Collect, error) {
	switch c := Collect(s); c {
	case "":
		return Concat, nil
	case Concat, NDJSON, JSON:
		return c, nil
	}
	return "", fmt.Errorf("collect %q is not known: use concat, ndjson or json", s)
}

// A Manifest is what a program answers to the describe stage.
type Manifest struct {
	// Contract is the version of the contract that the program speaks.
	Contract int `json:"contract"`
	// Name is a short lower-case word: how people submit the program.
	Name string `json:"name"`
	// Title and Summary are for people: a few words, and a sentence or two.
	Title   string `json:"title"`
	Summary string `json:"summary"`
	// Parameters is a JSON Schema of the parameters, an object with defaults
	// and examples. Empty if the program takes none.
	Parameters json.RawMessage `json:"parameters,omitempty"`
	// Result is the media type of the artefact.
	Result string `json:"result"`
	// Stages lists what the program answers to, besides describe.
	Stages []Stage `json:"stages"`
	// Split is the built-in splitter for the program's input, if it takes
	// input rather than splitting its parameters. See docs/programs.md.
	Split string `json:"split,omitempty"`
	// Collect is how outputs are put together without a reduce stage.
	Collect Collect `json:"collect,omitempty"`
}

// ParseManifest reads and checks what a program answered to describe.
func ParseManifest(data []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("the manifest is not the JSON that the contract asks for: %w", err)
	}
	return &m, m.validate()
}

func (m *Manifest) validate() error {
	if m.Contract != Version {
		return fmt.Errorf("the manifest speaks contract %d; this grid speaks %d", m.Contract, Version)
	}
	if m.Name == "" || m.Result == "" {
		return errors.New("the manifest needs a name and the media type of its result")
	}
	if !Plain(m.Name) || !Plain(m.Title) || !Plain(m.Summary) || !Plain(m.Result) {
		return errors.New("the manifest's name, title, summary and result are one line each, without control or format characters")
	}
	if !m.Has(Map) {
		return errors.New("the manifest lists no map stage; every program needs one")
	}
	for _, s := range m.Stages {
		if !slices.Contains([]Stage{Split, Map, Reduce, Render}, s) {
			return fmt.Errorf("the manifest lists stage %q, which the contract does not know", s)
		}
	}
	if m.Has(Split) == (m.Split != "") {
		return errors.New(`the manifest needs either a stage "split" or the name of a built-in splitter in "split"`)
	}
	_, err := ParseCollect(string(m.Collect))
	return err
}

// Has says whether the program answers to a stage.
func (m *Manifest) Has(s Stage) bool { return slices.Contains(m.Stages, s) }
