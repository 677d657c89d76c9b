package random_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"potluck/sandbox/wasmtest/random"
)

func TestSameSeedMakesSameModule(t *testing.T) {
	one := random.Module(random.Mixed, 7, 200)
	if !bytes.Equal(one, random.Module(random.Mixed, 7, 200)) {
		t.Error("the same seed made another module")
	}
	if bytes.Equal(one, random.Module(random.Mixed, 8, 200)) {
		t.Error("another seed made the same module")
	}
}

// TestModulesAreValidAndEnd runs modules of each kind: they give a result for
// each function, and few functions give the same one.
func TestModulesAreValidAndEnd(t *testing.T) {
	const functions = random.MinFunctions + 120
	for _, kind := range []random.Kind{random.Mixed, random.Moves, random.Calm} {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("kind %d, seed %d", kind, seed), func(t *testing.T) {
			output := run(t, random.Module(kind, seed, functions))
			if len(output) != functions*random.Result {
				t.Fatalf("%d bytes for %d functions", len(output), functions)
			}
			results := map[string]bool{}
			for at := 0; at < len(output); at += random.Result {
				results[string(output[at:at+random.Result])] = true
			}
			if len(results) < functions/2 {
				t.Errorf("%d different results of %d functions", len(results), functions)
			}
		})
	}
}

func run(t *testing.T, module []byte) []byte {
	t.Helper()
	ctx := t.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx) //nolint:errcheck // nothing is left of it
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	var output bytes.Buffer
	if _, err := r.InstantiateWithConfig(ctx, module, wazero.NewModuleConfig().WithStdout(&output)); err != nil {
		t.Fatal(err)
	}
	return output.Bytes()
}
