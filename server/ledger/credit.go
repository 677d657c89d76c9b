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
		err = l.write(ctx, func(ctx context.Context) error {
			_, err := l.credit.Put(ctx, job, data)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store the credit for job %s: %w", job, err)
	}
	return nil
}

// DropTally takes the credit for a job back that is set running again: it is
// pending until the job ends.
func (l *Ledger) DropTally(ctx context.Context, job string) error {
	l.credits.mu.Lock()
	_, there := l.credits.tallies[job]
	l.credits.mu.Unlock()
	if !there {
		return nil
	}
	if err := l.credit.Delete(ctx, job); err != nil {
		return fmt.Errorf("take back the credit for job %s: %w", job, err)
	}
	return nil
}

// A Standing is what a volunteer, or a team, has done in all.
type Standing struct {
	Credit
	Alias
	Members int    // of a team
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
		if !l.quarantined(s.Volunteer) {
			s.Alias = l.Alias(s.Volunteer)
			board = append(board, *s)
		}
	}
	sortBoard(board)
	return board
}

// StandingOf gives the standing of one volunteer, of all times.
func (l *Ledger) StandingOf(volunteer string, pending []Credit) Standing {
	s := Standing{Credit: Credit{Volunteer: volunteer}, Alias: l.Alias(volunteer), Pending: Credit{Volunteer: volunteer}}
	if l.quarantined(volunteer) {
		return s
	}
	l.credits.mu.Lock()
	defer l.credits.mu.Unlock()
	for _, t := range l.credits.tallies {
		s.addOwn(t.Credits)
	}
	s.Pending.addOwn(pending)
	return s
}

// addOwn adds those credits that are of the same volunteer.
func (c *Credit) addOwn(all []Credit) {
	for _, more := range all {
		if more.Volunteer == c.Volunteer {
			c.add(more)
		}
	}
}

// Teams puts what the members of each team have done together.
func Teams(board []Standing) []Standing {
	sums := map[string]*Standing{}
	for _, s := range board {
		if s.Team == "" {
			continue
		}
		if sums[s.Team] == nil {
			sums[s.Team] = &Standing{Alias: Alias{Team: s.Team}}
		}
		sum := sums[s.Team]
		sum.add(s.Credit)
		sum.Pending.add(s.Pending)
		sum.Members++
	}
	teams := make([]Standing, 0, len(sums))
	for _, s := range sums {
		teams = append(teams, *s)
	}
	sortBoard(teams)
	return teams
}

// sortBoard puts those first who have done most.
func sortBoard(board []Standing) {
	slices.SortFunc(board, func(a, b Standing) int {
		return cmp.Or(b.compare(a.Credit), b.Pending.compare(a.Pending), cmp.Compare(a.Volunteer, b.Volunteer), cmp.Compare(a.Team, b.Team))
	})
}

func (c *Credit) add(more Credit) { c.Tasks, c.Millis = c.Tasks+more.Tasks, c.Millis+more.Millis }

func (c Credit) compare(other Credit) int {
	return cmp.Or(cmp.Compare(c.Millis, other.Millis), cmp.Compare(c.Tasks, other.Tasks))
}

// applyTally takes an entry of the watcher.
func (l *Ledger) applyTally(e jetstream.KeyValueEntry) {
	l.credits.mu.Lock()
	defer l.credits.mu.Unlock()
	var t Tally
	switch {
	case e.Operation() != jetstream.KeyValuePut:
		delete(l.credits.tallies, e.Key())
	case json.Unmarshal(e.Value(), &t) == nil:
		l.credits.tallies[e.Key()] = t
	}
}
