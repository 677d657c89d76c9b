package schedule

// Fair shares workers between jobs: each gets computing time in proportion to
// its weight, by start-time fair queueing (Goyal, Vin, Cheng: SIGCOMM 1996).
// The zero Fair is ready for use.
type Fair struct {
	spent map[string]float64 // computing over weight, by job
	floor float64            // where a newcomer starts: nobody collects a claim by waiting
}

// A Claim is a job that has tasks to lend. A job of twice the weight gets
// twice the computing.
type Claim struct {
	Job    string
	Weight float64
}

// Pick gives the index of the claim that is furthest behind, -1 if there is none.
func (f *Fair) Pick(claims []Claim) int {
	best, least := -1, 0.0
	for i, c := range claims {
		if at := f.at(c.Job); best < 0 || at < least {
			best, least = i, at
		}
	}
	if best >= 0 {
		f.floor = max(f.floor, least)
	}
	return best
}

// Charge notes that a job was given computing, in any unit of time.
func (f *Fair) Charge(c Claim, cost float64) {
	if f.spent == nil {
		f.spent = map[string]float64{}
	}
	f.spent[c.Job] = f.at(c.Job) + cost/c.Weight
}

// Forget drops a job that has ended.
func (f *Fair) Forget(job string) { delete(f.spent, job) }

func (f *Fair) at(job string) float64 { return max(f.spent[job], f.floor) }
