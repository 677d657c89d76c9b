package engines

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/wasmtest/random"
)

var (
	functions = flag.Int("functions", 100_000, "how many random functions the engines compute")
	seed      = flag.Uint64("seed", 1, "what the random functions are made from; 0 is another seed each time")
	within    = flag.Duration("within", time.Hour, "how long an engine may compute random functions before it stops and says how many there were")
	bare      = flag.Bool("bare", false, "run the random functions as they are, not published: they show what the engines do differently")
)

// perModule is how many random functions a module has.
const perModule = 1000

// TestRandomFunctions demands the same of every engine, whatever a program
// computes.
func TestRandomFunctions(t *testing.T) {
	s := newSample(t, random.Mixed, *functions, !*bare)
	everywhere(t, s.compare)
}

// TestMovedBitsStay demands that publishing leaves alone what a program only
// moves: the bits of NaNs that signal, with what they carry.
func TestMovedBitsStay(t *testing.T) {
	s := newSample(t, random.Moves, *functions/10, false)
	everywhere(t, s.compare)
}

// TestPublishingChangesNothingElse demands that a program that never meets a
// NaN gives what it gave before it was published.
func TestPublishingChangesNothingElse(t *testing.T) {
	s := newSample(t, random.Calm, *functions/10, false)
	everywhere(t, s.compare)
}

// A sample is random functions, and what they give here.
type sample struct {
	kind    random.Kind
	seed    uint64
	modules []func() []byte // what they give, computed once
}

// newSample makes a sample whose functions are computed here as they are, or
// published.
func newSample(t *testing.T, kind random.Kind, functions int, publish bool) *sample {
	t.Helper()
	s := &sample{kind: kind, seed: *seed}
	for s.seed == 0 {
		s.seed = rand.Uint64() >> 1
	}
	t.Logf("%d functions from -seed %d", functions, s.seed)
	here, turn := native(process.Config{})(t), sync.Mutex{}
	t.Cleanup(here.close)
	for i := range max(1, functions/perModule) {
		s.modules = append(s.modules, sync.OnceValue(func() []byte {
			turn.Lock()
			defer turn.Unlock()
			module := s.module(i)
			if publish {
				module = published(t, module)
			}
			return mustRun(t, here, module, i)
		}))
	}
	return s
}

// module makes a module of the sample.
func (s *sample) module(i int) []byte {
	return random.Module(s.kind, s.seed+uint64(i), perModule)
}

func mustRun(t *testing.T, e engine, module []byte, number int) []byte {
	t.Helper()
	o := e.run(t, module, sandbox.Task{})
	if o.kind != "" || len(o.output) != perModule*random.Result {
		t.Fatalf("module %d: %v", number, o)
	}
	return o.output
}

// compare computes the sample on an engine, or the part of it that is its share.
func (s *sample) compare(t *testing.T, e engine, v *volunteer) {
	differ, computed, start := 0, 0, time.Now()
	for i := 0; i < len(s.modules) && time.Since(start) < *within; i += v.one {
		want, module := s.modules[i], s.module(i)
		if !*bare {
			module = published(t, module)
		}
		got := mustRun(t, e, module, i)
		computed += perModule
		for f := range perModule {
			at := f * random.Result
			if bytes.Equal(got[at:at+random.Result], want()[at:at+random.Result]) {
				continue
			}
			if differ++; differ <= 5 {
				t.Errorf("seed %d, function %d: %s", s.seed+uint64(i), f, keep(module))
			}
		}
	}
	t.Logf("%d of %d functions differ", differ, computed)
}

// keep leaves a module where a person finds it after the test.
func keep(module []byte) string {
	file := filepath.Join(os.TempDir(), fmt.Sprintf("differs-%.16s.wasm", sandbox.Hash(module)))
	if err := os.WriteFile(file, module, 0o600); err != nil {
		return err.Error()
	}
	return file
}
