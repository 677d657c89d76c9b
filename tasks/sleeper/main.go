// Command sleeper is the demonstration of who did which: a few tasks of random
// length. Nobody can sleep in the sandbox, where clocks are virtual, so each
// task burns a known amount of work instead.
package main

import (
	"math/rand/v2"

	"potluck/contract"
	"potluck/tasks/mapreduce"
)

type params struct {
	Tasks int    `json:"tasks" title:"Tasks" doc:"How many tasks there are." min:"1" max:"100000"`
	Work  uint64 `json:"work" title:"Work" doc:"The longest task, in millions of steps; a step takes a few nanoseconds." min:"1" max:"10000"`
	Seed  uint64 `json:"seed" title:"Seed" doc:"Another seed gives other lengths." min:"0"`
}

type nap struct {
	Steps uint64 `json:"steps"`
}

type slept struct {
	Steps uint64 `json:"steps"`
	Check uint64 `json:"check,string"` // proof that the steps were made
}

func main() {
	mapreduce.Main(mapreduce.Program[params, nap, slept]{
		Name: "sleeper", Title: "Who did which",
		Summary:  "A few tasks of random length. The result says which volunteer did which task, and when.",
		Result:   "application/json",
		Defaults: params{Tasks: 10, Work: 200, Seed: 1},
		Split:    split,
		Map:      func(n nap) (slept, error) { return slept{n.Steps, burn(n.Steps)}, nil },
		Collect:  contract.JSON,
	})
}

func split(p params) ([]nap, error) {
	r := rand.New(rand.NewPCG(p.Seed, 0)) //nolint:gosec // a seed that anybody may know
	naps := make([]nap, p.Tasks)
	for i := range naps {
		naps[i].Steps = 1 + r.Uint64N(p.Work*1_000_000)
	}
	return naps, nil
}

// burn makes steps of a linear congruential generator (Knuth's MMIX constants).
func burn(steps uint64) uint64 {
	x := uint64(1)
	for range steps {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}
