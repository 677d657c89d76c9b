// Command lorenz96 measures how chaotic the weather is in the model with which
// Lorenz asked that: how fast small errors grow. Each task follows some
// trajectories from random starts; the picture shows the growth rates of all of
// them, the leading Lyapunov exponent, and one trajectory with its twin that
// began a millionth beside it.
package main

import (
	"math"

	"potluck/tasks/mapreduce"
)

type params struct {
	Sites   int     `json:"sites" title:"Sites" doc:"Places around the circle of latitude." min:"4" max:"200"`
	Forcing float64 `json:"forcing" title:"Forcing" doc:"What drives the weather. It is chaotic from about 5 on; most studies take 8." min:"0" max:"20"`
	Starts  int     `json:"starts" title:"Starts" doc:"How many trajectories are followed. Four times as many halve the standard error." min:"1" max:"20000"`
	Length  int     `json:"length" title:"Length" doc:"How long each is followed, in units of time; one stands for five days." min:"50" max:"1000"`
	Seed    uint64  `json:"seed" title:"Seed" doc:"Another seed gives other starts." min:"0"`
}

// A batch is one task: so many starts from the first on.
type batch struct {
	First  int    `json:"first"`
	Count  int    `json:"count"`
	Params params `json:"params"`
}

// taskWork is the steps, times sites, of a task: about a second.
const taskWork = 8_000_000

func main() {
	mapreduce.Main(mapreduce.Program[params, batch, part]{
		Name: "lorenz96", Title: "How fast errors grow",
		Summary:  "Measures the leading Lyapunov exponent of Lorenz's model of 1996: how fast two almost equal weathers part.",
		Result:   "image/png",
		Defaults: params{Sites: 40, Forcing: 8, Starts: 400, Length: 200, Seed: 1},
		Examples: []params{{Sites: 40, Forcing: 5, Starts: 200, Length: 200, Seed: 2}, {Sites: 80, Forcing: 16, Starts: 200, Length: 100, Seed: 3}},
		Split:    split,
		Map:      func(b batch) (part, error) { return follow(b), nil },
		Reduce:   join,
		Render:   render,
	})
}

func split(p params) (batches []batch, _ error) {
	each := max(1, taskWork/((spinUp+p.Length)*stepsPerUnit*p.Sites))
	for first := 0; first < p.Starts; first += each {
		batches = append(batches, batch{first, min(each, p.Starts-first), p})
	}
	return batches, nil
}

// curvePoints is how often the exponent so far is noted along a trajectory.
const curvePoints = 50

// follow computes the trajectories of a task.
func follow(b batch) (sum part) {
	for i := range b.Count {
		r := begin(b.Params, b.First+i)
		if b.First+i == 0 {
			sum.twins = twins(r)
		}
		grown, time := 0.0, 0
		for point := 1; point <= curvePoints; point++ {
			for ; time < b.Params.Length*point/curvePoints; time++ {
				grown += r.unit()
			}
			sum.curves = append(sum.curves, int64(math.Round(grown/float64(time)*perExponent)))
		}
	}
	return sum
}
