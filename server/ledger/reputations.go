package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/server/schedule"
)

// A Reputation is what the grid thinks of a volunteer. All servers share it.
type Reputation struct {
	schedule.Reputation
	Reason string `json:"reason,omitempty"` // why they are in quarantine
	Past   string `json:"past,omitempty"`   // why they were in the one that was lifted last

	revision uint64
}

// worthKeeping says whether the grid will want to know a reputation later: that of
// a stranger of whom nothing came but failures is forgotten soon in any case, and
// new ones cost nothing.
func (r Reputation) worthKeeping() bool {
	return r.Standing != schedule.Newcomer || r.Proven > 0 || r.CaughtAt > 0 || r.PardonedAt > 0
}

// people is every reputation, kept current by one watcher.
type people struct {
	mu       sync.Mutex
	known    map[string]Reputation
	passing  map[string]Reputation // of those who are in memory only
	watchers []func(volunteer string, r Reputation)
}

// Reputation gives the reputation of a volunteer; a stranger has the zero one.
func (l *Ledger) Reputation(volunteer string) Reputation {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	if r, stored := l.people.known[volunteer]; stored {
		return r
	}
	return l.people.passing[volunteer]
}

// passingTime is how long those are remembered who only failed: their failures
// are forgotten before.
const passingTime = time.Hour

// pass remembers a reputation for a while, and forgets some that are older.
func (p *people) pass(volunteer string, r Reputation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passing[volunteer] = r
	looked := 0
	for v, other := range p.passing {
		if r.FailedAt-other.FailedAt > passingTime.Microseconds() {
			delete(p.passing, v)
		}
		if looked++; looked == 8 { // more than come
			return
		}
	}
}

func (l *Ledger) quarantined(volunteer string) bool {
	return l.Reputation(volunteer).Standing == schedule.Quarantined
}

// WatchReputations calls f with every change of a reputation from now on. f
// must not block.
func (l *Ledger) WatchReputations(f func(volunteer string, r Reputation)) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	l.people.watchers = append(l.people.watchers, f)
}

// lately is how long those who were caught count.
const lately = 30 * 24 * time.Hour

// Established counts the volunteers who are established, those of them who are
// senior, and those who were established and turned out to be liars lately.
func (l *Ledger) Established(now time.Time) (established, seniors, caught int) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	for _, r := range l.people.known {
		switch {
		case r.Standing == schedule.Established:
			established++
			if r.Senior() {
				seniors++
			}
		case r.Standing == schedule.Quarantined && r.Proven >= schedule.Probation && now.Sub(time.UnixMicro(r.CaughtAt)) < lately:
			caught++
		}
	}
	return established, seniors, caught
}

// Behaved adds what a volunteer did to their reputation, durably. reason says why
// they are in quarantine, if that is what it comes to.
func (l *Ledger) Behaved(ctx context.Context, volunteer string, did schedule.Did, reason string) error {
	current := l.Reputation(volunteer)
	for {
		next := Reputation{Reputation: current.After(did), Reason: current.Reason, Past: current.Past}
		if current.Standing == schedule.Quarantined && next.Standing != schedule.Quarantined {
			next.Reason, next.Past = "", current.Reason
		}
		if did.Lied && next.Reason == "" {
			next.Reason = reason
		}
		if current.revision == 0 && !next.worthKeeping() {
			l.people.pass(volunteer, next)
			return nil
		}
		data, err := json.Marshal(next)
		if err != nil {
			return err
		}
		err = l.write(ctx, func(ctx context.Context) (err error) {
			if current.revision == 0 {
				next.revision, err = l.conduct.Create(ctx, volunteer, data)
			} else {
				next.revision, err = l.conduct.Update(ctx, volunteer, data, current.revision)
			}
			return err
		})
		if err == nil {
			l.applyReputationOf(volunteer, next)
			return nil
		}
		if c := code(err); c != codeWrongLastSeq && c != codeWrongLastSeq2 && !errors.Is(err, jetstream.ErrKeyExists) {
			return fmt.Errorf("store the reputation of %s: %w", volunteer, err)
		}
		if current, err = l.readReputation(ctx, volunteer); err != nil {
			return err
		}
	}
}

// Pardon lifts a quarantine: the volunteer is a newcomer again, and what was
// before is kept. It gives ErrNotFound if they are not in quarantine.
func (l *Ledger) Pardon(ctx context.Context, volunteer string) error {
	current, err := l.readReputation(ctx, volunteer)
	if err != nil {
		return err
	}
	if current.Standing != schedule.Quarantined {
		return fmt.Errorf("a quarantine of volunteer %s: %w", volunteer, ErrNotFound)
	}
	next := Reputation{Reputation: current.Pardoned(time.Now().UnixMicro()), Past: current.Reason}
	data, err := json.Marshal(next)
	if err == nil {
		err = l.write(ctx, func(ctx context.Context) (err error) {
			next.revision, err = l.conduct.Update(ctx, volunteer, data, current.revision)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store the reputation of %s: %w", volunteer, err)
	}
	l.applyReputationOf(volunteer, next)
	return nil
}

// readReputation reads what another server has just written.
func (l *Ledger) readReputation(ctx context.Context, volunteer string) (r Reputation, err error) {
	e, err := l.conduct.Get(ctx, volunteer)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the reputation of %s: %w", volunteer, sort(err))
	}
	r.revision = e.Revision()
	return r, json.Unmarshal(e.Value(), &r)
}

// applyReputation takes an entry of the watcher.
func (l *Ledger) applyReputation(e jetstream.KeyValueEntry) {
	r := Reputation{revision: e.Revision()}
	if e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &r) == nil {
		l.applyReputationOf(e.Key(), r)
	}
}

func (l *Ledger) applyReputationOf(volunteer string, r Reputation) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	if l.people.known[volunteer].revision >= r.revision {
		return
	}
	l.people.known[volunteer] = r
	delete(l.people.passing, volunteer)
	for _, watch := range l.people.watchers {
		watch(volunteer, r)
	}
}
