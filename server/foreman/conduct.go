package foreman

import (
	"context"
	"time"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/schedule"
)

// said is what jobs say of a volunteer that is not in the ledger yet.
type said struct {
	did    schedule.Did
	reason string
}

// tellEvery is how often what jobs say of volunteers goes to the ledger. That
// somebody lied goes at once.
const tellEvery = 5 * time.Second

// say notes what a volunteer did.
func (f *Foreman) say(volunteer string, did schedule.Did, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.said[volunteer]
	s.did = s.did.Add(did)
	if did.Lied {
		s.reason = reason
	}
	f.said[volunteer] = s
	if did.Lied || did.Reinstated {
		select {
		case f.urgent <- struct{}{}:
		default:
		}
	}
}

// reputation is what is known of a volunteer, by what was said last too.
func (f *Foreman) reputation(volunteer string) schedule.Reputation {
	f.mu.Lock()
	did := f.said[volunteer].did
	f.mu.Unlock() // the ledger calls us with a lock of its own
	return f.Ledger.Reputation(volunteer).After(did)
}

// keepConduct takes what jobs say of volunteers to the ledger, put together.
func (f *Foreman) keepConduct() {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-f.urgent:
		case <-f.ctx.Done():
			last, cancel := context.WithTimeout(context.Background(), tellEvery)
			defer cancel()
			f.tellLedger(last)
			return
		}
		f.tellLedger(f.ctx)
	}
}

// tellLedger stores all that was said; what cannot be stored is kept for the
// next time.
func (f *Foreman) tellLedger(ctx context.Context) {
	f.telling.Lock()
	defer f.telling.Unlock()
	f.mu.Lock()
	volunteers := make([]string, 0, len(f.said))
	for v := range f.said {
		volunteers = append(volunteers, v)
	}
	f.mu.Unlock()
	for _, v := range volunteers {
		f.mu.Lock()
		s := f.said[v]
		f.mu.Unlock()
		if err := f.Ledger.Behaved(ctx, v, s.did, s.reason); err != nil {
			f.Log.Warn("the reputation of a volunteer waits to be stored", "volunteer", v, "error", err)
			return
		}
		f.mu.Lock()
		if left := f.said[v].did.Less(s.did); left == (schedule.Did{At: left.At}) {
			delete(f.said, v)
		} else {
			f.said[v] = said{left, f.said[v].reason}
		}
		f.mu.Unlock()
	}
}

// hearReputation tells the jobs of a volunteer who is in quarantine now, or was.
func (f *Foreman) hearReputation(volunteer string, r ledger.Reputation) {
	if r.Standing != schedule.Quarantined && r.PardonedAt == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.active {
		a.liars = append(a.liars, volunteer)
		select {
		case a.caught <- struct{}{}:
		default:
		}
	}
}

// shun tells the scheduler of those who were caught elsewhere, or pardoned.
func (a *activeJob) shun(ctx context.Context) {
	a.foreman.mu.Lock()
	liars := a.liars
	a.liars = nil
	a.foreman.mu.Unlock()
	for _, id := range liars {
		if v, known := a.people.numbers[id]; known {
			a.know(ctx, v, a.foreman.reputation(id))
		}
	}
}

// volunteer gives the number of a person, telling the scheduler who they are when
// they are new or have another token than before.
func (a *activeJob) volunteer(ctx context.Context, p dispatch.Person) schedule.Volunteer {
	v, known := a.people.of(p)
	switch old := a.people.all[v]; {
	case !known:
		a.know(ctx, v, a.foreman.reputation(p.ID))
	case old.Trusted != p.Trusted || old.Network != p.Network || old.Kind == "" && p.Kind != "":
		a.people.all[v] = p
		a.know(ctx, v, a.job.Reputation(v))
	}
	return v
}

func (a *activeJob) know(ctx context.Context, v schedule.Volunteer, r schedule.Reputation) {
	p := a.people.all[v]
	if r.Standing == schedule.Quarantined {
		a.assembly.Disown(p.ID)
	} else {
		a.assembly.Reown(p.ID)
	}
	e := schedule.Event{Kind: schedule.Know, Volunteer: v, Reputation: r, Trusted: p.Trusted, Network: p.Network}
	if p.Kind != "" {
		e.Machine = a.kind(p.Kind) + 1
	}
	a.react(ctx, a.step(e))
}

// maxKinds is how many kinds of machines a job tells apart: workers say what they
// are, and may make anything up.
const maxKinds = 64

func (a *activeJob) kind(name string) uint32 {
	if a.kinds.known(name) == 0 && len(a.kinds.numbers) >= maxKinds {
		name = "another"
	}
	return a.kinds.of(name)
}

// A roll numbers people in the order in which they come. Several workers of one
// volunteer are one.
type roll struct {
	numbers map[string]schedule.Volunteer
	all     []dispatch.Person
}

func (r *roll) of(p dispatch.Person) (v schedule.Volunteer, known bool) {
	if v, known = r.numbers[p.ID]; known {
		return v, true
	}
	if r.numbers == nil {
		r.numbers = map[string]schedule.Volunteer{}
	}
	v = schedule.Volunteer(len(r.all))
	r.numbers[p.ID], r.all = v, append(r.all, p)
	return v, false
}
