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
)

// A Credit is what a volunteer has done in one job, or in all.
type Credit struct {
	Volunteer string `json:"volunteer"`
	Tasks     int64  `json:"tasks"`
	Millis    int64  `json:"ms"`
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

// Leaderboard sums up the credit for jobs that finished since a time, the most
// computing first.
func (l *Ledger) Leaderboard(since time.Time) []Credit {
	l.credits.mu.Lock()
	defer l.credits.mu.Unlock()
	sums := map[string]*Credit{}
	for _, t := range l.credits.tallies {
		if t.Finished.Before(since) {
			continue
		}
		for _, c := range t.Credits {
			sum := sums[c.Volunteer]
			if sum == nil {
				sum = &Credit{Volunteer: c.Volunteer}
				sums[c.Volunteer] = sum
			}
			sum.Tasks, sum.Millis = sum.Tasks+c.Tasks, sum.Millis+c.Millis
		}
	}
	board := make([]Credit, 0, len(sums))
	for _, c := range sums {
		board = append(board, *c)
	}
	slices.SortFunc(board, func(a, b Credit) int {
		return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(b.Tasks, a.Tasks), cmp.Compare(a.Volunteer, b.Volunteer))
	})
	return board
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
