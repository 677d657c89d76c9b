// Package profile makes one program of a module for all machines: what engines
// and processors may do differently is written out of it, or it is refused.
//
// A module is read, changed by one pass after the other, and written. Passes
// know what they have done before by what the code does, not by a mark, so
// publishing what was published changes nothing and a forged mark is worth
// nothing. docs/programs.md says what follows for programs.
package profile

import (
	"fmt"

	"potluck/sandbox"
)

// Number is the profile that Publish writes. Besides the passes it stands for
// what WASI answers, the clocks and the seed of randomness; package sandbox has
// the history.
const Number = sandbox.Profile

// markerName is the name of the custom section that says the profile, for
// people who look into a module. Nothing reads it.
const markerName = "potluck"

// Published is a module as the grid runs it.
type Published struct {
	ID     sandbox.ID
	Module []byte
	Report Report
}

// A Report says what a module is and what became of it.
type Report struct {
	// Features of WebAssembly that it uses beyond the first version, by name.
	Features []string `json:"features,omitempty"`
	// Memory is how many bytes of linear memory it may take, Tables how many
	// entries its tables may have together.
	Memory int `json:"memory"`
	Tables int `json:"tables,omitempty"`
	// Canonical is in how many places NaNs are made canonical, Grows in how many
	// functions memory.grow is checked, Merged how many data segments became
	// part of others, and Start whether a start section became part of _start.
	Canonical int  `json:"canonical,omitempty"`
	Grows     int  `json:"grows,omitempty"`
	Merged    int  `json:"merged,omitempty"`
	Start     bool `json:"start,omitempty"`
}

// A pass checks or changes one thing of a module.
type pass func(*module, *Report) error

// passes are the profile, in their order: the memory's maximum is what the
// tables leave, and the check of memory.grow holds it.
var passes = []pass{scan, checkExports, capTables, capMemory, foldStart, checkGrows, canonicalNaNs, avoidMistakes, mergeData}

// Publish makes a module what the grid runs. A program may take up to memory
// bytes, tables and globals included. The error says what is wrong with the
// module, and what to do.
func Publish(source []byte, memory int) (Published, error) { return publish(source, memory, passes) }

// Cap is Publish with nothing but the checks and the memory's maximum: what the
// cost of the rest is measured against.
func Cap(source []byte, memory int) (Published, error) {
	return publish(source, memory, []pass{scan, checkExports, capTables, capMemory, foldStart})
}

func publish(source []byte, memory int, passes []pass) (p Published, err error) {
	if len(source) > sandbox.MaxModule {
		return p, fmt.Errorf("the module has %d bytes; at most %d are allowed", len(source), sandbox.MaxModule)
	}
	if err := checkPreamble(source); err != nil {
		return p, err
	}
	m, err := read(source)
	if err != nil {
		return p, err
	}
	p.Report.Memory = memory
	for _, pass := range passes {
		if err := pass(m, &p.Report); err != nil {
			return Published{}, err
		}
	}
	p.Report.Features = m.features()
	p.Module = m.write()
	if len(p.Module) > sandbox.MaxModule {
		return Published{}, fmt.Errorf("the module has %d bytes once its floating point is the same on every machine; at most %d are allowed", len(p.Module), sandbox.MaxModule)
	}
	p.ID = sandbox.Hash(p.Module)
	return p, nil
}
