// Command pi estimates π by throwing darts at a square and counting those in
// the quarter circle. Its standard error is 4·√(p(1−p)/n) with p the share of
// hits, the usual one of a binomial proportion.
package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"

	"potluck/tasks/mapreduce"
)

type params struct {
	Samples uint64 `json:"samples" title:"Samples" doc:"How many darts to throw. A hundred times as many give one more digit." min:"1" max:"10000000000000"`
	Seed    uint64 `json:"seed" title:"Seed" doc:"Another seed gives another estimate." min:"0"`
}

// throw is one task: so many darts, from the stream of random numbers that
// seed and index name. Replicas throw the same darts, other tasks others.
type throw struct {
	Seed, Index, Samples uint64
}

type hits struct {
	Inside, Samples uint64
}

const (
	minSamples = 10_000_000 // a task
	maxTasks   = 10_000
)

func main() {
	mapreduce.Main(mapreduce.Program[params, throw, hits]{
		Name: "pi", Title: "Estimate π",
		Summary:  "Estimates π with random numbers, and says how far off it may be.",
		Result:   "application/json",
		Defaults: params{Samples: 100_000_000, Seed: 1},
		Examples: []params{{Samples: 10_000_000_000, Seed: 2}},
		Split:    split,
		Map:      func(t throw) (hits, error) { return count(t), nil },
		Reduce: func(a, b hits) (hits, error) {
			return hits{a.Inside + b.Inside, a.Samples + b.Samples}, nil
		},
		Render: render,
	})
}

func split(p params) (tasks []throw, _ error) {
	size := max(minSamples, (p.Samples-1)/maxTasks+1)
	for done := uint64(0); done < p.Samples; done += size {
		tasks = append(tasks, throw{p.Seed, uint64(len(tasks)), min(size, p.Samples-done)})
	}
	return tasks, nil
}

// count throws darts with integer coordinates, so that the test is exact.
func count(t throw) hits {
	r := rand.NewPCG(t.Seed, t.Index)
	const side = 1 << 31
	inside := uint64(0)
	for range t.Samples {
		v := r.Uint64()
		x, y := v>>33, v&(side-1)
		if x*x+y*y < side*side {
			inside++
		}
	}
	return hits{inside, t.Samples}
}

func render(_ params, h hits) ([]byte, error) {
	n := float64(h.Samples)
	p := float64(h.Inside) / max(n, 1)
	return json.Marshal(struct {
		Pi      float64 `json:"pi"`
		Stderr  float64 `json:"stderr"`
		Samples uint64  `json:"samples"`
	}{4 * p, 4 * math.Sqrt(p*(1-p)/max(n, 1)), h.Samples})
}
