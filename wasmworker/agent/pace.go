package agent

import (
	"math"
	"time"
)

// pace measures how long tasks and round trips take, to know how much to have
// in advance: enough that no slot waits for the network, not more.
type pace struct {
	task, trip float64 // seconds, exponentially weighted; 0 before the first
	share      float64 // of a slot's time that it computes
	linger     float64 // seconds that an answer may wait for others
}

const (
	// margin is added to a round trip: the gateway may be busy. Seconds.
	margin = 0.01
	// worthwhile is the share of a slot's time that a round trip must cost
	// before anything is had in advance.
	worthwhile = 0.01
	// burst is how long a slot should be able to go on by itself. Seconds.
	burst = 0.002
	// maxDepth is how many tasks a slot has at once.
	maxDepth = 32
	// maxAhead is how many tasks a slot has in advance at the most.
	maxAhead = 1024
)

func (p *pace) computed(d time.Duration) { weigh(&p.task, d) }

func (p *pace) acknowledged(d time.Duration) { weigh(&p.trip, d) }

func weigh(mean *float64, d time.Duration) {
	if *mean == 0 {
		*mean = d.Seconds()
	}
	*mean += (d.Seconds() - *mean) / 16
}

// depth is how many tasks a slot has at once, of which it computes one.
func (p *pace) depth() int {
	if p.task == 0 {
		return 1
	}
	return 1 + min(maxDepth-1, int(math.Ceil(burst/p.task)))
}

// ahead is how many tasks to have in advance for each slot.
func (p *pace) ahead() int {
	if p.task == 0 {
		return 1
	}
	wait := 2*p.trip + margin + p.linger
	if wait < worthwhile*p.task {
		return 0
	}
	return min(maxAhead, int(math.Ceil(p.share*wait/p.task)))
}
