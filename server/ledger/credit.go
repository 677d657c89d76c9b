package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/server/schedule"
)

// A Credit is what a volunteer has done in one job, or in all.
type Credit struct {
	Volunteer string `json:"volunteer"`
	Tasks     int64  `json:"tasks"`
	Millis    int64  `json:"ms"` // of computing, by the jobs' own measure
}

// A Tally is the credit for one job. It outlives the job.
type Tally struct {
	Finished time.Time `json:"finished"`
	Credits  []Credit  `json:"credits"`
}

// credits is every tally, kept current by one watcher.
type credits struct {
	mu      sync.Mutex
	tallies map[string]Tally
}

// PutTally stores the credit for a job. Storing it again changes nothing.
func (l *Ledger) PutTally(ctx context.Context, job string, t Tally) error {
	data, err := json.Marshal(t)
	if err == nil {
		_, err = l.credit.Put(ctx, job, data)
	}
	if err != nil {
		return fmt.Errorf("store the credit for job %s: %w", job, full(err))
	}
	return nil
}

// A Standing is what a volunteer has done in all.
type Standing struct {
	Credit
	Pending Credit // in jobs that still run
}

// Leaderboard sums up the credit for jobs that finished since a time, beside
// what is pending, the most first. Who is in quarantine has none.
func (l *Ledger) Leaderboard(since time.Time, pending []Credit) []Standing {
	sums := map[string]*Standing{}
	of := func(volunteer string) *Standing {
		if sums[volunteer] == nil {
			sums[volunteer] = &Standing{Credit: Credit{Volunteer: volunteer}, Pending: Credit{Volunteer: volunteer}}
		}
		return sums[volunteer]
	}
	l.credits.mu.Lock()
	for _, t := range l.credits.tallies {
		if t.Finished.Before(since) {
			continue
		}
		for _, c := range t.Credits {
			of(c.Volunteer).add(c)
		}
	}
	l.credits.mu.Unlock()
	for _, c := range pending {
		of(c.Volunteer).Pending.add(c)
	}
	board := make([]Standing, 0, len(sums))
	for _, s := range sums {
		if l.Reputation(s.Volunteer).Standing != schedule.Quarantined {
			board = append(board, *s)
		}
	}
	slices.SortFunc(board, func(a, b Standing) int {
		return cmp.Or(b.compare(a.Credit), b.Pending.compare(a.Pending), cmp.Compare(a.Volunteer, b.Volunteer))
	})
	return board
}

func (c *Credit) add(more Credit) { c.Tasks, c.Millis = c.Tasks+more.Tasks, c.Millis+more.Millis }

func (c Credit) compare(other Credit) int {
	return cmp.Or(cmp.Compare(c.Millis, other.Millis), cmp.Compare(c.Tasks, other.Tasks))
}

// applyTally takes an entry of the watcher.
func (l *Ledger) applyTally(e jetstream.KeyValueEntry) {
	var t Tally
	if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &t) != nil {
		return
	}
	l.credits.mu.Lock()
	defer l.credits.mu.Unlock()
	l.credits.tallies[e.Key()] = t
}
