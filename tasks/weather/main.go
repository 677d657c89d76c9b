// Command weather is an ensemble forecast, the seed idea of grid computing:
// the same small atmosphere is computed many times from slightly different
// beginnings, and what the members agree on is the forecast.
//
// The atmosphere is one layer of rotating shallow water (model.go) with an
// unstable jet (initial.go). Each task computes some members; a part (part.go)
// holds exact sums, so that parts may be joined in any grouping; render.go
// draws the mean, the spread and the plumes of the members that are there.
package main

import (
	"errors"
	"fmt"

	"potluck/tasks/mapreduce"
)

type params struct {
	Members      int     `json:"members" title:"Members" doc:"How many forecasts are computed. The spread of 20 is a rough one, that of 100 a good one." min:"1" max:"2000"`
	Batch        int     `json:"batch" title:"Members per task" doc:"How many members a volunteer computes at a time." min:"1" max:"20"`
	Columns      int     `json:"columns" title:"Columns" doc:"Columns of the grid; there are half as many rows. Twice as many take 8 times as long." min:"32" max:"256"`
	Days         int     `json:"days" title:"Days" doc:"How far ahead to look. The further, the less the members have in common." min:"1" max:"15"`
	Perturbation float64 `json:"perturbation" title:"Perturbation" doc:"How well today's weather is known: the typical error of the heights that the members begin with, in metres." min:"0" max:"20"`
	Jet          float64 `json:"jet" title:"Jet" doc:"The strongest wind at the beginning, in metres a second. The stronger, the sooner it breaks." min:"20" max:"80"`
	Seed         uint64  `json:"seed" title:"Seed" doc:"Another seed gives other weather." min:"0"`
}

// A batch is one task: so many members from the first on.
type batch struct {
	First  int    `json:"first"`
	Count  int    `json:"count"`
	Params params `json:"params"`
}

func main() {
	mapreduce.Main(mapreduce.Program[params, batch, part]{
		Name: "weather", Title: "Ensemble forecast",
		Summary:  "Computes the weather of a small atmosphere many times, each time from a slightly different beginning, and draws what is likely and how sure that is.",
		Result:   "image/png",
		Defaults: params{Members: 30, Batch: 1, Columns: 96, Days: 6, Perturbation: 2, Jet: 50, Seed: 1},
		Examples: []params{
			{Members: 100, Batch: 1, Columns: 128, Days: 7, Perturbation: 3, Jet: 50, Seed: 3},
			{Members: 20, Batch: 2, Columns: 64, Days: 10, Perturbation: 4, Jet: 60, Seed: 2},
		},
		Check:  check,
		Split:  split,
		Map:    forecast,
		Reduce: join,
		Render: render,
	})
}

// mostWork bounds a task, in columns³ (the cells of the grid times the steps in
// a day grow so) times days times members: some 20 s, where the default takes 1.5.
const mostWork = 64_000_000

func check(p params) error {
	if p.Columns*p.Columns*p.Columns*p.Days*p.Batch > mostWork {
		return errors.New("a task would take too long: fewer members per task, columns or days, please")
	}
	return nil
}

func split(p params) (batches []batch, _ error) {
	for first := 0; first < p.Members; first += p.Batch {
		batches = append(batches, batch{first, min(p.Batch, p.Members-first), p})
	}
	return batches, nil
}

// forecast computes the members of a task.
func forecast(b batch) (sum part, err error) {
	for i := range b.Count {
		one, err := member(b.Params, b.First+i)
		if err != nil {
			return sum, fmt.Errorf("member %d: %w", b.First+i, err)
		}
		if sum, err = join(sum, one); err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// plumeHours is the time between two values of a plume.
const plumeHours = 3

// member computes one member from its beginning to the last day.
func member(p params, index int) (part, error) {
	m := newModel(p)
	m.begin(p, index)
	plume := make([]int64, 0, plumeLength(p)*len(places))
	plume = m.sample(plume)
	steps := m.stepsIn(plumeHours * 3600)
	for range plumeLength(p) - 1 {
		for range steps {
			m.step()
		}
		plume = m.sample(plume)
	}
	return m.part(plume)
}

// plumeLength is how many times a plume has, the first and the last included.
func plumeLength(p params) int { return p.Days*24/plumeHours + 1 }
