package main

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"potluck/server/schedule"
)

// An attack is what the saboteurs among the volunteers do.
type attack struct {
	volunteers, tasks int
	share             float64 // of the volunteers who are saboteurs
	rarely            bool    // they lie on a tenth of the tasks, else on all
	alone             bool    // each has lies of their own, else they agree on one
	atOnce            bool    // they lie from the start, else once they are established
}

// An outcome is what came of an attack.
type outcome struct {
	results, wrong int
}

const (
	roundTime = 10 * schedule.Second
	referees  = 100 // tasks that the referee computes in a round
	maxRounds = 100_000
)

// digest is what a result hashes to: the truth, the lie that saboteurs agree
// on, or one of a saboteur's own.
func digest(task uint32, lie byte, by uint32) (d schedule.Digest) {
	binary.LittleEndian.PutUint32(d[:], task)
	d[4] = lie
	binary.LittleEndian.PutUint32(d[5:], by)
	return d
}

// lie gives what a saboteur answers; ok is false if they tell the truth.
func (a attack) lie(seed uint64, task, by uint32) (d schedule.Digest, ok bool) {
	if a.alone {
		d = digest(task, 2, by)
	} else {
		d, by = digest(task, 1, 0), 0
	}
	if !a.rarely {
		return d, true
	}
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, []uint64{seed, uint64(task), uint64(by)}) // a hash takes everything
	return d, h.Sum64()%1000 < 100
}

// A member is a person in the simulated grid, under one name after the other.
type member struct {
	saboteur   bool
	name       schedule.Volunteer
	reputation schedule.Reputation
	leases     []uint32
}

// grid plays one job on the real scheduler.
type grid struct {
	attack
	seed    uint64
	rand    *rand.Rand
	job     *schedule.Job
	now     schedule.Time
	members []*member
	byName  map[schedule.Volunteer]*member
	judged  []uint32
	digests []schedule.Digest // accepted, by task
	over    bool
	outcome
}

// play lets volunteers attack a job of a policy.
func play(a attack, p schedule.Policy, seed uint64) outcome {
	g := &grid{
		attack: a, seed: seed, rand: rand.New(rand.NewPCG(seed, 7)), byName: map[schedule.Volunteer]*member{},
		digests: make([]schedule.Digest, a.tasks),
		job:     schedule.New(schedule.Config{Tasks: a.tasks, Policy: p, TimeLimit: 60 * schedule.Second, Seed: [32]byte{byte(seed)}, Referees: referees}),
	}
	for i := range a.volunteers {
		m := &member{saboteur: float64(i) < a.share*float64(a.volunteers)}
		g.members = append(g.members, m)
		g.rename(m)
	}
	for rounds := 0; !g.over; rounds++ {
		if rounds == maxRounds {
			panic(fmt.Sprintf("%s, seed %d: the job does not end", a, seed))
		}
		g.round()
	}
	for task, d := range g.digests {
		if d != digest(uint32(task), 0, 0) {
			g.wrong++
		}
	}
	return g.outcome
}

// rename lets a member come, or come back, under a new name.
func (g *grid) rename(m *member) {
	m.name, m.reputation, m.leases = schedule.Volunteer(len(g.byName)), schedule.Reputation{}, nil
	g.byName[m.name] = m
}

// round has everybody answer and ask once, in any order, and the referee answer.
func (g *grid) round() {
	g.now += roundTime
	judged := g.judged
	g.judged = nil
	for _, task := range judged {
		g.results++
		g.step(schedule.Event{Kind: schedule.Verdict, Task: task, Digest: digest(task, 0, 0)})
	}
	g.rand.Shuffle(len(g.members), func(a, b int) { g.members[a], g.members[b] = g.members[b], g.members[a] })
	for _, m := range g.members {
		for len(m.leases) > 0 && !g.over {
			task := m.leases[0]
			m.leases = m.leases[1:]
			g.results++
			g.step(schedule.Event{Kind: schedule.Result, Volunteer: m.name, Worker: m.name, Task: task, Digest: g.answer(m, task), Took: roundTime})
		}
		if !g.over {
			g.step(schedule.Event{Kind: schedule.Want, Volunteer: m.name, Worker: m.name, N: 1})
		}
	}
	if !g.over {
		g.step(schedule.Event{Kind: schedule.Tick})
	}
}

func (g *grid) answer(m *member, task uint32) schedule.Digest {
	if m.saboteur && (g.atOnce || m.reputation.Standing == schedule.Established) {
		if d, ok := g.lie(g.seed, task, m.name); ok {
			return d
		}
	}
	return digest(task, 0, 0)
}

func (g *grid) step(e schedule.Event) {
	for _, f := range g.job.Step(g.now, e, nil) {
		m := g.byName[f.Volunteer]
		switch f.Kind {
		case schedule.Lend:
			m.leases = append(m.leases, f.Task)
		case schedule.Revoke:
			if i := slices.Index(m.leases, f.Task); i >= 0 && m.name == f.Volunteer {
				m.leases = slices.Delete(m.leases, i, i+1)
			}
		case schedule.Accept:
			g.digests[f.Task] = e.Digest
		case schedule.Judge:
			g.judged = append(g.judged, f.Task)
		case schedule.Conduct:
			if m.name != f.Volunteer {
				continue
			}
			if m.reputation = m.reputation.After(f.Did); m.reputation.Standing == schedule.Quarantined {
				g.rename(m)
			}
		case schedule.Finish:
			g.over = true
		case schedule.Fail:
			panic(fmt.Sprintf("%s, seed %d: %s", g.attack, g.seed, f.Reason))
		case schedule.Pending, schedule.Late, schedule.Refuse, schedule.Confirm, schedule.Retract, schedule.Dissent, schedule.Alarm, schedule.Skip:
		}
	}
}
