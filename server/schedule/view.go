package schedule

import "slices"

// A Tile is how many of some neighbouring tasks are in which state. Done,
// Lent and Voting exclude each other; a task that failed may be lent again, or
// have the vote of somebody else.
type Tile struct {
	Done   uint32 // accepted
	Lent   uint32 // being computed
	Voting uint32 // with a result that waits for others, and computed by nobody now
	Failed uint32 // failed with somebody, and not accepted yet
}

// Tiles adds every task to its tile: each has size neighbours, and the last
// one what is left. It takes a time in proportion to the number of tasks.
func (j *Job) Tiles(size int) []Tile {
	tiles := make([]Tile, (j.config.Tasks+size-1)/size)
	for i := range tiles {
		t := &tiles[i]
		for task := i * size; task < min((i+1)*size, j.config.Tasks); task++ {
			switch j.states[task] {
			case done:
				t.Done++
			case skipped:
				t.Failed++
			case open:
				if o := j.opens.at(j.slots[task]); o.accepted != none {
					t.Done++
				} else {
					j.addOpen(t, o)
				}
			}
		}
	}
	return tiles
}

func (j *Job) addOpen(t *Tile, o *openTask) {
	switch j.stage(o) {
	case lent:
		t.Lent++
	case voted:
		t.Voting++
	}
	if o.failures > 0 {
		t.Failed++
	}
}

// stage is the state of the share of an open task that says most about it: it
// is lent, or else voted on, or else neither.
func (j *Job) stage(o *openTask) uint8 {
	stage := lapsed
	for i := o.first; i != none; i = j.shares.at(i).next {
		switch j.shares.at(i).state {
		case lent:
			return lent
		case voted:
			stage = voted
		}
	}
	return stage
}

// ShareState is what somebody has to do with a task.
type ShareState uint8

// The states of a share that others may see.
const (
	Computing ShareState = iota // they compute it
	Lapsed                      // they were lent it in vain: they gave it back, or ran past their deadline
	Answered                    // they have a result that waits for others
	Failed                      // they failed at it
)

// A Share is what one volunteer has to do with a task that is not accepted.
type Share struct {
	Volunteer Volunteer
	State     ShareState
	Lent      Time   // when they were lent the task last; 0 if that is not known
	Millis    uint32 // how long they computed; 0 unless they answered or failed
}

// Shares lists who has, or had, to do with a task that is not accepted yet,
// the first first: nobody with one that was never lent.
func (j *Job) Shares(task uint32) (shares []Share) {
	if j.states[task] != open || j.Accepted(task) {
		return nil
	}
	for i := j.opens.at(j.slots[task]).first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		v := Share{Volunteer: s.volunteer, State: shareStates[s.state], Lent: s.lent}
		if s.state == voted || s.state == failed {
			v.Millis = s.span
		}
		shares = append(shares, v)
	}
	slices.Reverse(shares) // a new one is put at the front of the list
	return shares
}

// ShareOf says what a volunteer has to do with a task, an accepted one too; ok is
// false if nothing.
func (j *Job) ShareOf(task uint32, v Volunteer) (state ShareState, ok bool) {
	if int(task) >= len(j.states) || j.states[task] != open {
		return 0, false
	}
	_, s := j.share(j.opens.at(j.slots[task]), v)
	if s == nil {
		return 0, false
	}
	return shareStates[s.state], true
}

var shareStates = [...]ShareState{lent: Computing, lapsed: Lapsed, voted: Answered, failed: Failed}
