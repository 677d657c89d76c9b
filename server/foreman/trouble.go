package foreman

import (
	"cmp"
	"context"
	"sync"

	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// A plight is why a job waits for the server itself. It fails no job: whatever
// the server could not do is tried again.
type plight struct {
	mu    sync.Mutex
	words string
}

func (p *plight) get() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.words
}

func (p *plight) set(words string) (changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = p.words != words
	p.words = words
	return changed
}

// hinder notes that the server could not do something. It says whether that is
// known to pass by itself.
func (a *activeJob) hinder(err error) bool {
	words := ledger.Trouble(err)
	if words != "" && a.plight.set(words) {
		a.log.Error("the server has trouble of its own, and the job waits", "error", err)
	}
	return words != ""
}

// relieve says that the server is well again: there may be something to lend.
func (a *activeJob) relieve() {
	if a.plight.set("") {
		a.log.Info("the server is well again, and the job goes on")
		a.queued, a.hungry = -1, true
	}
}

// lookAround looks at the disk, at the room that strangers share, and at whether
// anything is still tried again.
func (a *activeJob) lookAround() {
	err := a.foreman.Ledger.Room()
	if err == nil && a.crowded {
		err = a.inQuota(a.stored.Load())
	}
	if err != nil {
		a.hinder(err)
	} else if !a.ending && !a.held {
		a.crowded = false
		a.relieve()
	}
}

// hold has a batch come once more in a while, if what went wrong passes by itself.
func (a *activeJob) hold(ctx context.Context, err error, again func() appended) error {
	if !a.hinder(err) {
		return err
	}
	a.held = true
	a.foreman.wait.Go(func() {
		if errWait(ctx, retryAfter) == nil {
			a.written <- again()
		}
	})
	return nil
}

// persist does something until it is done, or the trouble is none that passes by itself.
func (a *activeJob) persist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil || !a.hinder(err) {
			return err
		}
		if err := errWait(ctx, retryAfter); err != nil {
			return err
		}
	}
}

// unwell is what is said of a trouble that nobody has words for.
const unwell = "the server has trouble with this job, and its log says which; it tries again"

// lament tells people why a job was let go. Until somebody has it again nobody
// else does.
func (a *activeJob) lament(j *ledger.Job, err error) {
	p := dispatch.Progress{Job: j.ID, Total: j.Tasks}
	if a.job != nil {
		p = a.progress()
	}
	p.Stuck = cmp.Or(ledger.Trouble(err), unwell)
	_ = a.foreman.Ledger.Conn().Publish(dispatch.SubjectProgress, dispatch.Encode(p)) // it is said again
}
