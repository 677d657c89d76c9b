package foreman

import (
	"fmt"

	"potluck/server/ledger"
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
// results, beside all that they have: if not, that is a *quotaError.
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
	whose := "the job's submitter"
	if owner == ledger.Anonymous {
		whose = "all who have no token together"
	}
	return &quotaError{fmt.Sprintf("the results have %d bytes by now, and with them %s would store more than the %d bytes that are allowed here: delete jobs that have ended, then retry this one",
		bytes, whose, f.SubmitterBytes)}
}

// count counts a result to the submitter, and fails the job when they have no room
// for it.
func (a *activeJob) count(output int) error {
	stored := a.stored.Add(int64(output) + recordSize)
	if stored < a.counted+quotaEach {
		return nil
	}
	a.counted = stored
	return a.inQuota(stored)
}
