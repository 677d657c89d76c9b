// Command trust attacks the real scheduler with simulated saboteurs and prints
// what comes of it, beside models of BOINC's adaptive replication and of a fixed
// quorum of two under the same attack.
package main

import (
	"flag"
	"fmt"
	"runtime"
	"sync"

	"potluck/server/schedule"
)

// A defence is a policy, ours or another's.
type defence struct {
	name string
	play func(attack, uint64) outcome
}

func ours(p schedule.Policy) func(attack, uint64) outcome {
	return func(a attack, seed uint64) outcome { return play(a, p, seed) }
}

var defences = []defence{
	{"adaptive", ours(schedule.Policy{Trust: schedule.Adaptive})},
	{"strict:2", ours(schedule.Policy{Trust: schedule.Strict, Quorum: 2})},
	{"BOINC's", func(a attack, seed uint64) outcome { return playOthers(a, true, seed) }},
	{"fixed 2", func(a attack, seed uint64) outcome { return playOthers(a, false, seed) }},
}

// A sum is outcomes put together.
type sum struct {
	tasks, results, wrong int
}

func (s sum) perTask() float64    { return float64(s.results) / float64(s.tasks) }
func (s sum) wrongShare() float64 { return float64(s.wrong) / float64(s.tasks) }

// measure plays an attack with several seeds, as many at a time as there are cores.
func measure(d defence, a attack, seeds int) (total sum) {
	var mu sync.Mutex
	var wait sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for seed := range seeds {
		turn <- struct{}{}
		wait.Go(func() {
			o := d.play(a, uint64(seed)+1)
			<-turn
			mu.Lock()
			defer mu.Unlock()
			total.tasks += a.tasks
			total.results += o.results
			total.wrong += o.wrong
		})
	}
	wait.Wait()
	return total
}

func (a attack) String() string {
	if a.share == 0 {
		return "nobody lies"
	}
	when, how, often := "hidden", "agreeing", "always"
	if a.atOnce {
		when = "at once"
	}
	if a.alone {
		how = "alone"
	}
	if a.rarely {
		often = "a tenth"
	}
	return fmt.Sprintf("%.0f %%, %s, %s, %s", 100*a.share, when, how, often)
}

// attacks are all ways to lie that are tried.
func attacks() []attack {
	all := []attack{{}}
	for _, how := range []attack{
		{rarely: true},
		{},
		{rarely: true, atOnce: true},
		{atOnce: true},
		{rarely: true, alone: true},
		{alone: true},
		{rarely: true, alone: true, atOnce: true},
		{alone: true, atOnce: true},
	} {
		for _, share := range []float64{0.01, 0.05, 0.1, 0.2, 0.3} {
			how.share = share
			all = append(all, how)
		}
	}
	return all
}

const legend = `Saboteurs among %d volunteers with %d tasks for each, %d seeds. They lie always, or on
a tenth of the tasks; agreeing on one lie, or each alone; at once, or hidden until
they are established. Who is caught comes back under another name.
For each defence: results computed for a task, and accepted results that are wrong.

`

func main() {
	seeds := flag.Int("seeds", 10, "how many seeds to play")
	volunteers := flag.Int("volunteers", 1000, "how many volunteers there are")
	each := flag.Int("each", 200, "how many tasks for each of them")
	flag.Parse()
	printCrowds(*volunteers*10, *volunteers/10, *volunteers, *seeds)
	fmt.Println()
	fmt.Printf(legend, *volunteers, *each, *seeds)
	fmt.Printf("%-31s", "")
	for _, d := range defences {
		fmt.Printf("%20s", d.name)
	}
	fmt.Println()
	for _, a := range attacks() {
		a.volunteers, a.tasks = *volunteers, *volunteers**each
		fmt.Printf("%-31s", a)
		for _, d := range defences {
			s := measure(d, a, *seeds)
			fmt.Printf("%8.3f %9.5f %%", s.perTask(), 100*s.wrongShare())
		}
		fmt.Println()
	}
	printAccidents(100, 20, *seeds)
}
