package main

import (
	"math/rand/v2"

	"potluck/server/schedule"
)

// others are what a grid without quarantine does: fixed quorum 2, or BOINC's
// adaptive replication. There a volunteer whose results were valid n times in a
// row, at least 10, goes unchecked but for one task in n (set_trust in BOINC's
// sched_version.cpp); a task is valid when two agree. Nobody has to come back
// under another name: nobody is sent away.
type others struct {
	attack
	seed     uint64
	rand     *rand.Rand
	adaptive bool
	streak   []int // valid results in a row, by volunteer
	outcome
}

const unreplicated = 10 // valid results in a row

func playOthers(a attack, adaptive bool, seed uint64) outcome {
	o := &others{attack: a, seed: seed, rand: rand.New(rand.NewPCG(seed, 8)), adaptive: adaptive, streak: make([]int, a.volunteers)}
	for task := range a.tasks {
		if o.do(uint32(task)) != digest(uint32(task), 0, 0) {
			o.wrong++
		}
	}
	return o.outcome
}

// do has a task computed until it is valid, and gives what is taken for right.
func (o *others) do(task uint32) schedule.Digest {
	votes := map[schedule.Digest][]int{}
	asked := map[int]bool{}
	quorum := 2
	for {
		v := o.rand.IntN(o.volunteers)
		if asked[v] {
			continue
		}
		if len(asked) == 0 && o.adaptive && o.streak[v] >= unreplicated && o.rand.Float64() > 1/float64(o.streak[v]) {
			quorum = 1
		}
		asked[v] = true
		o.results++
		d := o.answer(task, v)
		votes[d] = append(votes[d], v)
		if len(votes[d]) < quorum {
			continue
		}
		for v := range asked {
			o.streak[v]++
		}
		for other, liars := range votes {
			for _, v := range liars {
				if other != d {
					o.streak[v] = 0
				}
			}
		}
		return d
	}
}

func (o *others) answer(task uint32, v int) schedule.Digest {
	if float64(v) < o.share*float64(o.volunteers) && (o.atOnce || !o.adaptive || o.streak[v] >= unreplicated) {
		if d, ok := o.lie(o.seed, task, uint32(v)); ok {
			return d
		}
	}
	return digest(task, 0, 0)
}
