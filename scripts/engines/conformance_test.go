package engines

import (
	"bytes"
	"testing"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/wasmtest"
)

// TestConformance demands the answers that docs/programs.md states.
func TestConformance(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine) {
		for _, c := range wasmtest.Cases() {
			module := published(t, c.Module)
			o := e.run(t, module, sandbox.Task{Args: c.Args, Input: c.Input, Output: c.Limit})
			if err := c.Check(string(sandbox.Hash(module)), o.output, o.stderr, o.kind); err != nil {
				t.Errorf("%s: %v (%s)", c.Name, err, o.message)
			}
		}
	})
}

// TestProbes demands that every engine answers calls of WASI as wazero's
// compiler does here.
func TestProbes(t *testing.T) {
	var want []outcome
	task := sandbox.Task{Input: []byte("some input")}
	here := native(process.Config{})(t)
	defer here.close()
	for _, p := range wasmtest.Probes() {
		want = append(want, here.run(t, published(t, p.Module), task))
	}
	everywhere(t, func(t *testing.T, e engine) {
		for i, p := range wasmtest.Probes() {
			o := e.run(t, published(t, p.Module), task)
			if !bytes.Equal(o.output, want[i].output) || (o.kind == "") != (want[i].kind == "") {
				t.Errorf("%s: %v; wazero here: %v", p.Name, o, want[i])
			}
		}
	})
}
