package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"potluck/server/schedule"
)

// A crowd comes to a grid on which nobody is known, from some networks, to take
// a job over.
type crowd struct {
	attack
	fail                         bool // they fail at everything in the same way, else they lie
	identities, networks, honest int
	policy                       schedule.Policy
}

// A siege is what came of a crowd.
type siege struct {
	failed, unfinished bool
	wrong, briefly     int // accepted results at the end, and at any time
	refereed, results  int
	expelled           int
	tenth              schedule.Time // when ten volunteers were established
	end                schedule.Time
}

const (
	askers   = 200 // of those who have nothing to do, in a second
	pace     = 2   // seconds for a task of a second at a share of one half
	longTime = 200_000 * schedule.Second
)

// A front is a grid under siege: the real scheduler, with a second between steps.
type front struct {
	crowd
	siege
	seed        uint64
	job         *schedule.Job
	now         schedule.Time
	people      []member
	busy        []schedule.Volunteer // those who have leases
	judged      []uint32
	digests     []schedule.Digest
	established int
	over        bool
}

// withstand plays a crowd.
func withstand(c crowd, seed uint64) siege {
	r := rand.New(rand.NewPCG(seed, 11))
	f := &front{
		crowd: c, seed: seed, now: schedule.Second, people: make([]member, c.identities+c.honest), digests: make([]schedule.Digest, c.tasks),
		job: schedule.New(schedule.Config{Tasks: c.tasks, Policy: c.policy, TimeLimit: 60 * schedule.Second, Seed: [32]byte{byte(seed)}, Referees: 2}),
	}
	for v := range f.people {
		f.people[v].saboteur = v < c.identities
		network := v%max(1, c.networks) + 1
		if v >= c.identities {
			network = v + 1
		}
		f.step(schedule.Event{Kind: schedule.Know, Volunteer: schedule.Volunteer(v), Network: uint32(network)})
	}
	for ; !f.over && f.now < longTime; f.now += schedule.Second {
		f.round(r)
	}
	f.end, f.unfinished = f.now, !f.over
	for task, d := range f.digests {
		if d != digest(uint32(task), 0, 0) {
			f.wrong++
		}
	}
	return f.siege
}

func (f *front) round(r *rand.Rand) {
	f.step(schedule.Event{Kind: schedule.Tick})
	if len(f.judged) > 0 && f.now/schedule.Second%pace == 0 {
		task := f.judged[0]
		f.judged = f.judged[1:]
		f.refereed++
		f.step(schedule.Event{Kind: schedule.Verdict, Task: task, Digest: digest(task, 0, 0)})
	}
	busy := f.busy
	f.busy = nil
	for _, v := range busy {
		f.answer(v)
	}
	for range askers {
		f.ask(schedule.Volunteer(r.IntN(len(f.people))))
		if f.honest > 0 && r.IntN(askers) < f.honest { // each of them asks once a second
			f.ask(schedule.Volunteer(f.identities + r.IntN(f.honest)))
		}
	}
}

func (f *front) ask(v schedule.Volunteer) {
	if m := &f.people[v]; !f.over && len(m.leases) == 0 && m.reputation.Standing != schedule.Quarantined {
		f.step(schedule.Event{Kind: schedule.Want, Volunteer: v, Worker: v, N: 1, Slots: 1})
	}
}

// answer answers all that a volunteer has, a second each.
func (f *front) answer(v schedule.Volunteer) {
	m := &f.people[v]
	for len(m.leases) > 0 && !f.over {
		e := schedule.Event{Kind: schedule.Result, Volunteer: v, Worker: v, Task: m.leases[0], Took: schedule.Second}
		m.leases = m.leases[1:]
		e.Digest = digest(e.Task, 0, 0)
		if m.saboteur && (f.atOnce || m.reputation.Standing == schedule.Established) {
			if f.fail {
				e.Kind, e.Digest, e.Reason = schedule.Failure, schedule.Digest{1}, "exit code 1"
			} else if d, ok := f.lie(f.seed, e.Task, v); ok {
				e.Digest = d
			}
		}
		f.results++
		f.step(e)
	}
}

func (f *front) step(e schedule.Event) {
	for _, x := range f.job.Step(f.now, e, nil) {
		switch x.Kind {
		case schedule.Lend:
			m := &f.people[x.Volunteer]
			if len(m.leases) == 0 {
				f.busy = append(f.busy, x.Volunteer)
			}
			m.leases = append(m.leases, x.Task)
		case schedule.Revoke:
			m := &f.people[x.Volunteer]
			m.leases = slices.DeleteFunc(m.leases, func(task uint32) bool { return task == x.Task })
		case schedule.Accept:
			f.digests[x.Task] = e.Digest
			if e.Digest != digest(x.Task, 0, 0) {
				f.briefly++
			}
		case schedule.Retract:
			f.digests[x.Task] = schedule.Digest{}
		case schedule.Judge:
			f.judged = append(f.judged, x.Task)
		case schedule.Conduct:
			f.conduct(x)
		case schedule.Fail:
			f.over, f.failed = true, true
		case schedule.Finish:
			f.over = true
		case schedule.Pending, schedule.Late, schedule.Refuse, schedule.Confirm, schedule.Dissent, schedule.Alarm, schedule.Skip:
		}
	}
}

func (f *front) conduct(x schedule.Effect) {
	m := &f.people[x.Volunteer]
	was := m.reputation.Standing
	if m.reputation = m.reputation.After(x.Did); m.reputation.Standing == was {
		return
	}
	if m.reputation.Standing == schedule.Quarantined {
		f.expelled++
		m.leases = nil
	}
	if m.reputation.Standing == schedule.Established {
		if f.established++; f.established == founding {
			f.tenth = f.now
		}
	}
}

// founding is how many volunteers a new grid wants first.
const founding = 10

// crowds are all that are tried.
func crowds(identities, networks, tasks int) (all []struct {
	name string
	crowd
},
) {
	add := func(name string, c crowd) {
		c.tasks = tasks
		all = append(all, struct {
			name string
			crowd
		}{name, c})
	}
	hostile := crowd{identities: identities, networks: networks}
	add("ten honest volunteers", crowd{honest: founding})
	for _, honest := range []int{0, 20} {
		among := ""
		if honest > 0 {
			among = fmt.Sprintf(", %d honest", honest)
		}
		c := hostile
		c.honest = honest
		c.atOnce = true
		add("lie at once"+among, c)
		c.fail = true
		add("fail at once"+among, c)
		c.fail, c.atOnce = false, false
		add("hide, then lie"+among, c)
		c.rarely = true
		add("hide, lie on a tenth"+among, c)
	}
	return all
}

const crowdLegend = `
A crowd of %d fresh identities from %d networks comes to an empty grid, with a job of
%d tasks of a second, and a referee with half a core; %d seeds. They lie, agreeing on one lie, or fail in
the same way: at once, or hidden until they are established. In the mean of a job: wrong results that were
accepted in the end (and for a while), jobs failed, what was computed by the referee and by volunteers, who
was expelled, and when the job ended.

`

// printCrowds plays all crowds under each policy.
func printCrowds(identities, networks, tasks, seeds int) {
	fmt.Printf(crowdLegend, identities, networks, tasks, seeds)
	fmt.Printf("%-33s%-10s%14s%8s%10s%11s%10s%10s\n", "", "", "wrong", "failed", "referee", "volunteers", "expelled", "end")
	for _, c := range crowds(identities, networks, tasks) {
		for _, d := range weighing {
			c.policy = d.Policy
			var s siege
			failed := 0
			for seed := range uint64(seeds) {
				o := withstand(c.crowd, seed+1)
				s.wrong, s.briefly, s.refereed, s.results, s.expelled = s.wrong+o.wrong, s.briefly+o.briefly, s.refereed+o.refereed, s.results+o.results, s.expelled+o.expelled
				s.end += o.end
				if o.failed || o.unfinished {
					failed++
				}
			}
			mean := func(n int) float64 { return float64(n) / float64(seeds) }
			seconds := func(t schedule.Time) time.Duration {
				return (time.Duration(t) * time.Microsecond / time.Duration(seeds)).Round(time.Second)
			}
			fmt.Printf("%-33s%-10s%7.1f (%4.0f)%8d%10.0f%11.0f%10.0f%10v\n", c.name, d.name, mean(s.wrong), mean(s.briefly), failed, mean(s.refereed), mean(s.results), mean(s.expelled), seconds(s.end))
		}
	}
}

// weighing are the policies that weigh what is said.
var weighing = []struct {
	name string
	schedule.Policy
}{{"adaptive", schedule.Policy{Trust: schedule.Adaptive}}, {"strict:2", schedule.Policy{Trust: schedule.Strict, Quorum: 2}}}
