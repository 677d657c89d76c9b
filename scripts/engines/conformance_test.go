package engines

import (
	"bytes"
	"fmt"
	"testing"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
)

// TestConformance demands the answers that docs/programs.md states.
func TestConformance(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine, _ *volunteer) {
		for _, c := range wasmtest.Cases() {
			module := published(t, c.Module)
			o := e.run(t, module, sandbox.Task{Args: c.Args, Input: c.Input, Output: c.Limit})
			if err := c.Check(string(sandbox.Hash(module)), o.output, o.stderr, o.kind); err != nil {
				t.Errorf("%s: %v (%s)", c.Name, err, o.message)
			}
		}
	})
}

// TestFailedGrowIsTheMachines demands that every engine sees which trap means
// that the machine has no memory.
func TestFailedGrowIsTheMachines(t *testing.T) {
	everywhere(t, func(t *testing.T, e engine, _ *volunteer) {
		for value, kind := range map[int]sandbox.Kind{0: sandbox.Trap, 1: sandbox.Machine} {
			p, err := profile.Cap(wasmtest.GrowFailed(value), wasmtest.MaxMemory)
			if err != nil {
				t.Fatal(err)
			}
			if o := e.run(t, p.Module, sandbox.Task{}); o.kind != string(kind) {
				t.Errorf("the mark is %d: %v", value, o)
			}
		}
	})
}

// TestProbes demands that every engine answers calls of WASI as wazero's
// compiler does here, under each profile.
func TestProbes(t *testing.T) {
	here := native(process.Config{})(t)
	defer here.close()
	want := map[string]outcome{}
	each := func(t *testing.T, e engine, check func(name string, o outcome)) {
		t.Helper()
		for _, p := range wasmtest.Probes() {
			for _, number := range sandbox.Profiles {
				task := sandbox.Task{Input: []byte("some input"), Module: sandbox.Module{Profile: number}}
				check(fmt.Sprintf("%s under profile %d", p.Name, number), e.run(t, published(t, p.Module), task))
			}
		}
	}
	each(t, here, func(name string, o outcome) { want[name] = o })
	everywhere(t, func(t *testing.T, e engine, _ *volunteer) {
		each(t, e, func(name string, o outcome) {
			if w := want[name]; !bytes.Equal(o.output, w.output) || (o.kind == "") != (w.kind == "") {
				t.Errorf("%s: %v; wazero here: %v", name, o, w)
			}
		})
	})
}
