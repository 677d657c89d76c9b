package assemble

import (
	"maps"
	"math"
	"slices"
)

// A Credit is what a volunteer has done in a job.
type Credit struct {
	Volunteer string `cbor:"1,keyasint"`
	Tasks     int64  `cbor:"2,keyasint"` // in which their answer was the right one
	Millis    int64  `cbor:"3,keyasint"` // of computing, by what each task took
}

// A Tally counts what volunteers have done in a job. A task is worth the same to
// everybody who had its answer: the least of the times that they are said to have
// taken. So it does not pay to claim a long time where others look, and a slow
// machine earns no more than a fast one.
type Tally struct {
	of map[string]Credit // by volunteer
}

// Add counts a record.
func (t *Tally) Add(r Record) {
	if t.of == nil {
		t.of = map[string]Credit{}
	}
	t.count(r, 1)
}

// remove takes a record back that was counted.
func (t *Tally) remove(r Record) { t.count(r, -1) }

func (t *Tally) count(r Record, n int64) {
	worth := worth(r)
	for _, v := range r.Voters {
		c := t.of[v.ID]
		c.Volunteer, c.Tasks, c.Millis = v.ID, c.Tasks+n, c.Millis+n*worth
		if t.of[v.ID] = c; c.Tasks == 0 {
			delete(t.of, v.ID)
		}
	}
}

// worth is what a task is worth to each of its voters, in milliseconds.
func worth(r Record) int64 {
	least := int64(math.MaxInt64)
	for _, v := range r.Voters {
		least = min(least, took(r, v))
	}
	return least
}

// took is the time that an answer counts with: not more than its task was out,
// by the server's clock, and not nothing.
func took(r Record, v Voter) int64 {
	millis := v.Millis
	if r.Lent > 0 {
		millis = min(millis, r.Accepted-r.Lent)
	}
	return max(1, millis)
}

// Credits gives what each volunteer has done, in the order of their ids.
func (t *Tally) Credits() []Credit {
	all := make([]Credit, 0, len(t.of))
	for _, id := range slices.Sorted(maps.Keys(t.of)) {
		all = append(all, t.of[id])
	}
	return all
}

// Credits gives what each volunteer has done in the tasks that are there.
func (a *Assembly) Credits() []Credit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tally.Credits()
}
