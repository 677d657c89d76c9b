// Package tasks is the catalogue of built-in programs: the folders beside this
// file, compiled to WebAssembly and embedded. make build fills bin/.
package tasks

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"

	"potluck/contract"
)

//go:embed all:bin
var bin embed.FS

// A Program is one of the catalogue: its module, not yet published, and its
// manifest as it answered describe when it was built.
type Program struct {
	Name     string
	Module   []byte
	Manifest contract.Manifest
}

// Catalogue lists the built-in programs by name. It is an error if the tree
// was compiled without them.
func Catalogue() ([]Program, error) {
	files, err := fs.Glob(bin, "bin/*.wasm")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no built-in programs: this binary was compiled without them; use make build")
	}
	programs := make([]Program, 0, len(files))
	for _, file := range files {
		p, err := read(strings.TrimSuffix(file, ".wasm"))
		if err != nil {
			return nil, fmt.Errorf("built-in program %s: %w", file, err)
		}
		programs = append(programs, p)
	}
	return programs, nil
}

func read(path string) (p Program, err error) {
	if p.Module, err = bin.ReadFile(path + ".wasm"); err != nil {
		return p, err
	}
	manifest, err := bin.ReadFile(path + ".json")
	if err != nil {
		return p, err
	}
	p.Name = strings.TrimPrefix(path, "bin/")
	return p, json.Unmarshal(manifest, &p.Manifest)
}
