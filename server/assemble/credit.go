package assemble

import (
	"maps"
	"slices"
)

// A Credit is what a volunteer has done in a job.
type Credit struct {
	Volunteer string `cbor:"1,keyasint"`
	Tasks     int64  `cbor:"2,keyasint"` // in which his answer was the right one
	Millis    int64  `cbor:"3,keyasint"` // of computing, by the job's own measure
}

// A Tally counts what volunteers have done in a job. A task is worth the same
// to everybody who had its answer: the median of the times that all right
// answers of the job are said to have taken. So it does not pay to claim a long
// time, and a slow machine earns no more than a fast one.
type Tally struct {
	tasks map[string]int64 // by volunteer
	times map[int64]int    // right answers by their time, in milliseconds
}

// Add counts a record.
func (t *Tally) Add(r Record) {
	if t.tasks == nil {
		t.tasks, t.times = map[string]int64{}, map[int64]int{}
	}
	t.count(r, 1)
}

// remove takes a record back that was counted.
func (t *Tally) remove(r Record) { t.count(r, -1) }

func (t *Tally) count(r Record, n int) {
	for _, v := range r.Voters {
		if t.tasks[v.ID] += int64(n); t.tasks[v.ID] == 0 {
			delete(t.tasks, v.ID)
		}
		took := took(r, v)
		if t.times[took] += n; t.times[took] == 0 {
			delete(t.times, took)
		}
	}
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

// worth is what a task is worth, in milliseconds: the median, the lower one of
// two.
func (t *Tally) worth() int64 {
	answers := 0
	for _, n := range t.times {
		answers += n
	}
	for _, took := range slices.Sorted(maps.Keys(t.times)) {
		if answers -= 2 * t.times[took]; answers <= 0 {
			return took
		}
	}
	return 0
}

// Credits gives what each volunteer has done, in the order of their ids.
func (t *Tally) Credits() []Credit {
	worth, all := t.worth(), make([]Credit, 0, len(t.tasks))
	for _, id := range slices.Sorted(maps.Keys(t.tasks)) {
		all = append(all, Credit{id, t.tasks[id], t.tasks[id] * worth})
	}
	return all
}

// Credits gives what each volunteer has done in the tasks that are there.
func (a *Assembly) Credits() []Credit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tally.Credits()
}
