package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"potluck/server/schedule"
)

// A fault is what goes wrong with some volunteers, who mean no harm or answer
// nothing.
type fault uint8

const (
	leaving  fault = iota // they go: what the others are measured by
	hoarding              // they ask for a million leases and answer none
	freezing              // they answer nothing from some time on
	failing               // they fail at everything, as if the task did
	crashing              // their executor dies of everything
	full                  // their disk is full: they give everything back
	erring                // their kind of machine computes something else at a tenth of the tasks
)

var faults = [...]string{
	leaving: "leave", hoarding: "hoard", freezing: "freeze", failing: "fail everything",
	crashing: "crash at everything", full: "disk full, return everything", erring: "a kind that errs",
}

// An accident is a fault of some volunteers of a grid, all of whom have a good name.
type accident struct {
	fault
	policy            schedule.Policy
	volunteers, tasks int
	share             float64 // of the volunteers who have the fault
	late              bool    // it shows at some time, else from the start
}

// A consequence is what came of an accident.
type consequence struct {
	failed   bool          // the job
	alarm    bool          // for a difference of kinds
	expelled int           // volunteers in quarantine
	end      schedule.Time // of the job
}

const (
	// A task takes a second; the simulation goes on in steps of a part of that.
	napTime  = schedule.Second
	stepTime = schedule.Second / 8
	maxTime  = 10_000 * schedule.Second
)

// A hand is a volunteer with a worker of one slot, who computes leases in order.
type hand struct {
	fault
	faultyFrom schedule.Time
	queue      []uint32
	done       schedule.Time // when the first one is computed
	rest       schedule.Time // who has given a lease back asks for nothing until then
	gone       bool
}

// A yard plays one job on the real scheduler.
type yard struct {
	accident
	job    *schedule.Job
	now    schedule.Time
	hands  []*hand
	judged []uint32
	over   bool
	consequence
}

// happen plays an accident.
func happen(a accident, seed uint64) consequence {
	r := rand.New(rand.NewPCG(seed, 9))
	y := &yard{accident: a, now: schedule.Second, job: schedule.New(schedule.Config{
		Tasks: a.tasks, Policy: a.policy, TimeLimit: 60 * schedule.Second, Seed: [32]byte{byte(seed)}, Referees: 2, Established: 1000,
	})}
	whole := napTime * schedule.Time(a.tasks/a.volunteers)
	for v := range a.volunteers {
		h := &hand{faultyFrom: maxTime}
		machine := uint32(1)
		if float64(v) < a.share*float64(a.volunteers) {
			h.fault, h.faultyFrom = a.fault, 0
			if a.late {
				h.faultyFrom = r.Int64N(whole)
			}
			if a.fault == erring {
				machine = 2
			}
		}
		y.hands = append(y.hands, h)
		y.step(schedule.Event{Kind: schedule.Know, Volunteer: schedule.Volunteer(v), Machine: machine, Reputation: schedule.Reputation{
			Standing: schedule.Established, Proven: schedule.Probation, Answered: 500, Checked: 100,
		}})
	}
	for ; !y.over && y.now < maxTime; y.now += stepTime {
		y.round(r)
	}
	y.end, y.failed = y.now, y.failed || !y.over
	for v := range y.hands {
		if y.job.Reputation(schedule.Volunteer(v)).Standing == schedule.Quarantined {
			y.expelled++
		}
	}
	return y.consequence
}

// round has the referee and everybody answer what is computed, and ask.
func (y *yard) round(r *rand.Rand) {
	y.step(schedule.Event{Kind: schedule.Tick})
	judged := y.judged
	y.judged = nil
	for _, task := range judged {
		y.step(schedule.Event{Kind: schedule.Verdict, Task: task, Digest: digest(task, 0, 0)})
	}
	for _, v := range r.Perm(len(y.hands)) {
		if h := y.hands[v]; !y.over && !h.gone {
			y.move(schedule.Volunteer(v), h)
		}
	}
}

// move has one volunteer do what it does.
func (y *yard) move(v schedule.Volunteer, h *hand) {
	faulty := y.now >= h.faultyFrom
	e := schedule.Event{Volunteer: v, Worker: v, N: 1000, Slots: 1}
	switch {
	case faulty && h.fault == leaving:
		h.gone = true
		e.Kind = schedule.Gone
		y.step(e)
		return
	case faulty && (h.fault == hoarding || h.fault == freezing):
		e.N = 1_000_000 // its gateway asks on, for the credit that it gave
	case len(h.queue) > 0 && (y.now >= h.done || faulty && h.fault != erring):
		answer := e
		answer.Task, answer.Took = h.queue[0], napTime
		h.queue, h.done = h.queue[1:], y.now+napTime
		answer.Kind, answer.Digest = schedule.Result, digest(answer.Task, 0, 0)
		if faulty {
			y.spoil(&answer, h)
		}
		y.step(answer)
	}
	if !y.over && y.now >= h.rest {
		e.Kind = schedule.Want
		y.step(e)
	}
}

// spoil makes of a right answer what a faulty volunteer gives.
func (y *yard) spoil(e *schedule.Event, h *hand) {
	switch h.fault {
	case failing:
		e.Kind, e.Digest, e.Reason = schedule.Failure, schedule.Digest{1}, "exit code 1"
	case crashing:
		e.Kind, e.Digest, e.Reason, e.Blame = schedule.Failure, schedule.Digest{2}, "the executor died", schedule.Twice
	case full:
		e.Kind, h.rest = schedule.Return, y.now+schedule.Second
	case erring:
		if e.Task%10 == 0 {
			e.Digest = digest(e.Task, 1, 0)
		}
	case leaving, hoarding, freezing:
	}
}

func (y *yard) step(e schedule.Event) {
	for _, f := range y.job.Step(y.now, e, nil) {
		switch f.Kind {
		case schedule.Lend:
			h := y.hands[f.Volunteer]
			if len(h.queue) == 0 {
				h.done = y.now + napTime
			}
			h.queue = append(h.queue, f.Task)
		case schedule.Revoke:
			h := y.hands[f.Volunteer]
			h.queue = slices.DeleteFunc(h.queue, func(task uint32) bool { return task == f.Task })
		case schedule.Judge:
			y.judged = append(y.judged, f.Task)
		case schedule.Alarm:
			y.over, y.alarm = true, true
		case schedule.Fail:
			y.over, y.failed = true, true
		case schedule.Finish:
			y.over = true
		case schedule.Accept, schedule.Pending, schedule.Late, schedule.Refuse, schedule.Confirm, schedule.Retract, schedule.Conduct, schedule.Dissent, schedule.Skip:
		}
	}
}

// A toll is consequences put together.
type toll struct {
	failed, alarms, expelled int
	delay                    time.Duration // of the end, in the mean, beyond that of a grid which those leave who have the fault
}

// suffer plays an accident with several seeds.
func suffer(a accident, seeds int) (t toll) {
	a.late = a.fault == freezing
	for seed := range uint64(seeds) {
		c := happen(a, seed+1)
		left := a
		left.fault = leaving
		t.expelled += c.expelled
		t.delay += time.Duration(c.end-happen(left, seed+1).end) * time.Microsecond / time.Duration(seeds)
		if c.failed {
			t.failed++
		}
		if c.alarm {
			t.alarms++
		}
	}
	return t
}

const accidentsLegend = `
Accidents of a tenth of %d volunteers (of a kind that errs: three tenths) with %d tasks of a second for each,
%d seeds: jobs failed, jobs that an alarm has stopped, volunteers expelled, and how much later the job
ends than where those volunteers leave instead. A job that an alarm stops ends there.

`

// printAccidents plays all accidents under each policy.
func printAccidents(volunteers, each, seeds int) {
	fmt.Printf(accidentsLegend, volunteers, each, seeds)
	fmt.Printf("%-31s%-10s%8s%8s%10s%10s\n", "", "", "failed", "alarms", "expelled", "delay")
	for f := hoarding; f <= erring; f++ {
		for _, d := range []struct {
			name string
			schedule.Policy
		}{{"trusted", schedule.Policy{}}, {"adaptive", schedule.Policy{Trust: schedule.Adaptive}}, {"strict:2", schedule.Policy{Trust: schedule.Strict, Quorum: 2}}} {
			a := accident{fault: f, policy: d.Policy, volunteers: volunteers, tasks: volunteers * each, share: 0.1}
			if f == erring {
				a.share = 0.3
			}
			t := suffer(a, seeds)
			fmt.Printf("%-31s%-10s%8d%8d%10d%9.1fs\n", faults[f], d.name, t.failed, t.alarms, t.expelled, t.delay.Seconds())
		}
	}
}
