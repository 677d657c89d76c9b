package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/tasks"
)

// A subject is a program whose speed is measured as it was sent, but for the
// memory's maximum, and as the grid runs it.
type subject struct {
	name   string
	source []byte
	args   []string
	inputs [][]byte
}

// subjectParams make jobs of the catalogue of some tenths of a second.
var subjectParams = map[string]string{
	"primes": `{"to":100000000}`, "nqueens": `{"n":13}`, "pi": `{"samples":100000000}`, "mandelbrot": `{"width":1024,"height":1024}`,
	"sleeper": `{"tasks":10,"work":100}`, "weather": `{"members":2,"columns":64,"days":1}`, "lorenz96": `{"starts":16}`,
	"square": `{"numbers":[1,2,3,4,5,6,7,8]}`,
}

// profileRounds is how often each variant is measured in turn.
const profileRounds = 7

// profile measures what the deterministic profile costs.
func (b *bench) profile() error {
	dir, err := os.MkdirTemp("", "potluck-profile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	kernels, err := kernels(b.ctx, dir)
	if err != nil {
		return err
	}
	builtins, err := builtins(b.ctx)
	if err != nil {
		return err
	}
	var all [2][]float64
	for _, s := range append(kernels, builtins...) {
		here, there, err := s.cost(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		all[0], all[1] = append(all[0], here), append(all[1], there)
		b.row("the profile's cost: "+s.name, fmt.Sprintf("%.2f × in wazero", here), fmt.Sprintf("%.2f × in Chromium", there), "at most 1.2 and 1.45")
		_ = b.out.Flush() // it takes a while; a closed stdout shows at the end
	}
	b.row("  geometric mean", fmt.Sprintf("%.2f × in wazero", mean(all[0])), fmt.Sprintf("%.2f × in Chromium", mean(all[1])), "at most 1.08")
	return nil
}

func mean(ratios []float64) float64 {
	sum := 0.0
	for _, r := range ratios {
		sum += math.Log(r)
	}
	return math.Exp(sum / float64(len(ratios)))
}

// kernels compiles the C programs.
func kernels(ctx context.Context, dir string) (all []subject, err error) {
	sources, err := filepath.Glob("scripts/bench/kernels/*.c")
	if err != nil || len(sources) == 0 {
		return nil, errors.Join(err, errors.New("no kernels: run this in the top folder"))
	}
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".c")
		binary := filepath.Join(dir, name+".wasm")
		out, err := exec.CommandContext(ctx, "clang", "--target=wasm32-wasi", "-O2", "-s", "-o", binary, source, "-lm").CombinedOutput() //nolint:gosec // our own programs
		if err != nil {
			return nil, fmt.Errorf("compile %s (make bench installs what it takes): %w: %s", name, err, out)
		}
		module, err := os.ReadFile(binary)
		if err != nil {
			return nil, err
		}
		all = append(all, subject{name + " (C)", module, nil, [][]byte{{}}})
	}
	return all, nil
}

// builtins are small jobs of the catalogue.
func builtins(ctx context.Context) (all []subject, err error) {
	catalogue, err := tasks.Catalogue()
	if err != nil {
		return nil, err
	}
	for _, p := range catalogue {
		inputs := [][]byte{[]byte(strings.Repeat("the quick brown fox jumps over the lazy dog\n", 20_000))}
		if params, splits := subjectParams[p.Name]; splits {
			if _, inputs, err = splitBuiltin(ctx, p.Name, []byte(params)); err != nil {
				return nil, err
			}
		}
		all = append(all, subject{p.Name, p.Module, []string{string(contract.Map)}, inputs})
	}
	return all, nil
}

// cost measures how much longer a program takes under the profile.
func (s subject) cost(dir string) (wazero, browser float64, err error) {
	before, err := profile.Cap(s.source, sandbox.MaxMemory)
	if err != nil {
		return 0, 0, err
	}
	after, err := profile.Publish(s.source, sandbox.MaxMemory)
	if err != nil {
		return 0, 0, err
	}
	if wazero, err = inTurns(before, after, func(p profile.Published) (timer, error) { return s.inWazero(dir, p) }); err != nil {
		return 0, 0, err
	}
	browser, err = inTurns(before, after, s.inBrowser)
	return wazero, browser, err
}

// A timer measures a module that was started, and ends it.
type timer struct {
	measure func() (time.Duration, error)
	end     func()
}

// inTurns gives the ratio of the medians of two variants.
func inTurns(before, after profile.Published, start func(profile.Published) (timer, error)) (float64, error) {
	var timers [2]timer
	for i, p := range []profile.Published{before, after} {
		t, err := start(p)
		if err != nil {
			return 0, err
		}
		defer t.end()
		timers[i] = t
	}
	var took [2][]time.Duration
	for round := range profileRounds {
		for i := range timers {
			i = (i + round) % len(timers) // either comes first
			d, err := timers[i].measure()
			if err != nil {
				return 0, err
			}
			took[i] = append(took[i], d)
		}
	}
	return median(took[1]).Seconds() / median(took[0]).Seconds(), nil
}

func median(all []time.Duration) time.Duration {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	return all[len(all)/2]
}

// inWazero measures CPU time in an executor.
func (s subject) inWazero(dir string, p profile.Published) (timer, error) {
	m := sandbox.Module{ID: p.ID, Path: filepath.Join(dir, string(p.ID)), Profile: sandbox.Profile}
	if err := os.WriteFile(m.Path, p.Module, 0o600); err != nil {
		return timer{}, err
	}
	x := sandbox.NewExecutor(process.Config{}.Spawn)
	measure := func() (sum time.Duration, err error) {
		for _, input := range s.inputs {
			o := x.Run(context.Background(), sandbox.Task{Module: m, Args: s.args, Input: input})
			if err := o.Err(); err != nil {
				return 0, err
			}
			sum += o.Took
		}
		return sum, nil
	}
	_, err := measure() // it compiles
	return timer{measure, x.Close}, err
}

// inBrowser measures in an executor of a browser that has run the first task
// before. A browser tells nobody the CPU time of a worker: the machine should
// have nothing else to do.
func (s subject) inBrowser(p profile.Published) (timer, error) {
	page, err := openBare(p.Module, s.args, s.inputs)
	if err != nil {
		return timer{}, err
	}
	measure := func() (time.Duration, error) { return page.measure(1) }
	_, err = measure() // it compiles again what runs often
	return timer{measure, page.close}, err
}
