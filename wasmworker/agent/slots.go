package agent

import (
	"slices"
	"time"
)

// tolerance is how much rest a slot may owe before it takes it: tasks that are
// shorter than a timer's grain must not each be followed by one.
const tolerance = 20 * time.Millisecond

// start fills the slots, the emptiest first.
func (a *Agent) start() {
	for len(a.ready) > 0 && !a.Limits.Paused {
		n := a.emptiest(time.Now())
		if n < 0 {
			return
		}
		t := a.ready[0]
		a.ready = slices.Delete(a.ready, 0, 1)
		if !t.dropped {
			a.run(n, t)
		}
	}
}

// emptiest gives the slot that should have the next task, -1 if none should.
// Those that rest are looked at again when the first of them has rested.
func (a *Agent) emptiest(now time.Time) int {
	best, depth := -1, a.pace.depth()
	var rest time.Duration
	for i := range a.Limits.Slots {
		s := &a.slots[i]
		if left := s.until.Sub(now); left > 0 {
			if rest == 0 || left < rest {
				rest = left
			}
			continue
		}
		if len(s.tasks) < depth && (best < 0 || len(s.tasks) < len(a.slots[best].tasks)) {
			best = i
		}
	}
	if best < 0 && rest > 0 && a.rested == nil {
		a.rested = time.After(rest)
	}
	return best
}

func (a *Agent) run(n int, t *task) {
	s := &a.slots[n]
	s.tasks = append(s.tasks, t)
	s.first(time.Now())
	t.stop = a.Engine.Start(n, Task{
		Module: Module{t.hash, t.batch.Profile}, Args: t.batch.Args, Input: t.lease.Input,
		Time: time.Duration(t.batch.Millis) * time.Millisecond, Output: t.batch.Output,
	}, func(o Outcome) {
		a.tell(func() {
			a.ran(n, t, o.Took)
			t.stop = nil
			if !t.dropped {
				a.done(t, o)
			}
		})
	})
}

// ran takes a task off its slot. What it took is to be followed by its share of
// rest.
func (a *Agent) ran(n int, t *task, took time.Duration) {
	s, now := &a.slots[n], time.Now()
	s.tasks = slices.DeleteFunc(s.tasks, func(other *task) bool { return other == t })
	s.first(now)
	s.debt += time.Duration(float64(took) * (1/a.Limits.Share - 1))
	if s.debt > tolerance {
		s.until = now.Add(s.debt)
		s.debt = 0
	}
}

// first notes since when the first task runs, or that none does.
func (s *slot) first(now time.Time) {
	if s.busy {
		s.spent += now.Sub(s.since)
	}
	s.busy, s.since = len(s.tasks) > 0, now
	if s.busy && s.tasks[0].began.IsZero() {
		s.tasks[0].began = now
	}
}

// limit takes new limits. The gateway hears how many slots there are.
func (a *Agent) limit(l Limits) {
	l.Slots, l.Share = max(1, l.Slots), min(1, max(minShare, l.Share))
	for len(a.slots) < l.Slots {
		a.slots = append(a.slots, slot{})
	}
	a.resized = a.resized || l.Slots != a.Limits.Slots
	a.Limits, a.pace.share = l, l.Share
	for i := range a.slots { // whoever rests begins anew under the new limits
		a.slots[i].until, a.slots[i].debt = time.Time{}, 0
	}
	if l.Paused {
		a.giveBackWaiting()
	}
}

// minShare keeps a slot's rest after a task of a minute below an hour.
const minShare = 0.02

// A Status is what an agent is doing.
type Status struct {
	Slots     int
	Connected bool
	Totals    Totals
	// Unacknowledged is how many answers the grid has not acknowledged.
	Unacknowledged int
	// Computing is how long slots have computed, all of them together.
	Computing time.Duration
	Running   []Running
	// Trouble is why this machine asks for no work, and until when; empty while it does.
	Trouble      string
	TroubleUntil time.Time
}

// Running is a task that is being computed.
type Running struct {
	Slot  int
	Job   string
	Title string
	Task  uint32
	Since time.Time
}

func (a *Agent) status() Status {
	s := Status{Slots: a.Limits.Slots, Connected: a.link != nil, Totals: a.totals, Unacknowledged: len(a.answers)}
	if m := a.trouble[machine]; m != nil && time.Now().Before(m.until) {
		s.Trouble, s.TroubleUntil = m.reason, m.until
	}
	for i := range a.slots {
		slot := &a.slots[i]
		s.Computing += slot.spent
		if slot.busy {
			t := slot.tasks[0]
			s.Computing += time.Since(slot.since)
			s.Running = append(s.Running, Running{i, t.batch.Job, t.batch.Title, t.lease.Task, t.began})
		}
	}
	return s
}
