package api

import (
	"context"
	"net/http"
	"sync"

	"potluck/server/guard"
	"potluck/server/ledger"
)

// A quota keeps count of what is being added to what the ledger has already, so
// that many requests at once get no more than one after the other.
type quota struct {
	mu       sync.Mutex
	pending  map[string]ledger.Usage // by owner, and by address of the anonymous
	homeless map[string]string       // the job of an address without a token
}

func newQuota() quota {
	return quota{pending: map[string]ledger.Usage{}, homeless: map[string]string{}}
}

// reserve makes sure that a caller may have more, and counts it as theirs until
// it is released: by then the ledger has it, or it did not come to be.
func (a *API) reserve(ctx context.Context, p caller, more ledger.Usage) (release func(), err error) {
	if p.role == RoleAdmin {
		return func() {}, nil
	}
	q := &a.quota
	q.mu.Lock()
	defer q.mu.Unlock()
	owner, address := p.owner(), home(p.address)
	has, err := a.Ledger.Usage(ctx, owner)
	if err != nil {
		return nil, err
	}
	pending := q.pending[owner]
	switch {
	case has.Bytes+pending.Bytes+more.Bytes > a.SubmitterBytes:
		return nil, a.tooMuch(p)
	case p.role == RoleAnonymous && more.Jobs > 0 && a.hasJob(address):
		return nil, refuse(http.StatusTooManyRequests, "from this address a job is under way, and without a token there is one at a time: wait for its end, or %s", howToGetIn)
	case p.role == RoleSubmitter && more.Jobs > 0 && has.Jobs+pending.Jobs+more.Jobs > a.SubmitterJobs:
		return nil, refuse(http.StatusTooManyRequests, "you have %d jobs that have not ended, and a submitter may have %d here: wait for one to end, or cancel one", has.Jobs+pending.Jobs, a.SubmitterJobs)
	}
	q.add(owner, more, 1)
	q.add(address, more, 1)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.add(owner, more, -1)
		q.add(address, more, -1)
	}, nil
}

func (a *API) tooMuch(p caller) error {
	if p.role == RoleAnonymous {
		return refuse(http.StatusRequestEntityTooLarge, "all jobs without a token together may store %d bytes here, and this would be more: %s", a.SubmitterBytes, howToGetIn)
	}
	return refuse(http.StatusRequestEntityTooLarge, "a submitter may store %d bytes of inputs, modules and results here, and this would be more: delete jobs that have ended. Uploads go by themselves after a day", a.SubmitterBytes)
}

func (q *quota) add(key string, more ledger.Usage, sign int) {
	u := q.pending[key]
	u.Jobs += sign * more.Jobs
	u.Bytes += int64(sign) * more.Bytes
	if q.pending[key] = u; u == (ledger.Usage{}) {
		delete(q.pending, key)
	}
}

// hasJob says whether an address without a token has a job, or is about to. It
// forgets those whose jobs have ended. The lock is held.
func (a *API) hasJob(address string) bool {
	for home, id := range a.quota.homeless {
		if j, err := a.Ledger.Job(id); err != nil || j.State.Final() {
			delete(a.quota.homeless, home)
		}
	}
	_, has := a.quota.homeless[address]
	return has || a.quota.pending[address].Jobs > 0
}

// preview lets an address without a token have one preview at a time: it may
// keep the server's executors busy for long.
func (a *API) preview(p caller) (release func(), err error) {
	if p.role != RoleAnonymous {
		return func() {}, nil
	}
	q, key := &a.quota, "preview "+home(p.address)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.pending[key].Jobs > 0 {
		return nil, refuse(http.StatusTooManyRequests, "from this address a preview is under way, and without a token there is one at a time: wait for its end, or %s", howToGetIn)
	}
	q.add(key, ledger.Usage{Jobs: 1}, 1)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.add(key, ledger.Usage{Jobs: 1}, -1)
	}, nil
}

// settle notes whose job it is, in memory only, if they have nothing but an address.
func (a *API) settle(p caller, job string) {
	if p.role != RoleAnonymous {
		return
	}
	a.quota.mu.Lock()
	defer a.quota.mu.Unlock()
	a.quota.homeless[home(p.address)] = job
}

// home is whose jobs and bytes those of an address are, which has no token.
func home(address string) string { return "address " + guard.Address(address) }
