package foreman

import (
	"context"
	"fmt"

	"potluck/server/ledger"
	"potluck/server/schedule"
)

const (
	// recordSize is about what the log has for a result beside its output, in bytes.
	recordSize = 128
	// quotaEach is how many bytes of results come between two looks at the quota.
	quotaEach = 1 << 20
)

// A quotaError says that a job has more results than its submitter may store.
type quotaError struct{ text string }

func (e *quotaError) Error() string { return e.text }

// inQuota says whether the submitter of the job may store so many bytes of its
// results, beside all that they have. If not, that is a *quotaError; strangers, who
// share one bound, get ErrCrowded, which passes: no stranger's results fail another's
// job.
func (a *activeJob) inQuota(bytes int64) error {
	f, owner := a.foreman, a.owner
	if !f.Ledger.HasBounds(owner) {
		return nil
	}
	all := f.Ledger.Lasting(owner).Bytes + bytes
	f.mu.Lock()
	for _, other := range f.active {
		if other != a && other.owner == owner {
			all += other.stored.Load()
		}
	}
	f.mu.Unlock()
	if all <= f.SubmitterBytes {
		return nil
	}
	if owner == ledger.Anonymous {
		return ledger.ErrCrowded
	}
	return &quotaError{fmt.Sprintf("the results have %d bytes by now, and with them the job's submitter would store more than the %d bytes that are allowed here: delete jobs that have ended, then retry this one",
		bytes, f.SubmitterBytes)}
}

// count counts a result to the submitter. When they have no room for it the job
// fails, or waits if the room is not only theirs.
func (a *activeJob) count(ctx context.Context, output int) {
	stored := a.stored.Add(int64(output) + recordSize)
	if stored < a.counted+quotaEach || a.ending || a.job.Over() {
		return
	}
	a.counted = stored
	switch err := a.inQuota(stored); {
	case err == nil:
	case ledger.Trouble(err) != "":
		a.crowded = a.hinder(err)
	default:
		a.react(ctx, a.step(schedule.Event{Kind: schedule.Cancel})) // nothing more is lent
		a.fail(ctx, err.Error())
	}
}
