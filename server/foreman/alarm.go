package foreman

import (
	"context"
	"errors"
	"fmt"

	"potluck/sandbox"
	"potluck/server/ledger"
	"potluck/server/schedule"
)

// errDecided says that a job needs no hold.
var errDecided = errors.New("the job is not running, or it was decided")

// alarm tells the operator that a kind of machine computes something else than
// the others, and puts all jobs of the module on hold.
func (a *activeJob) alarm(kind uint32) {
	reason := fmt.Sprintf("machines of kind %q compute something else than those of other kinds", a.kinds.names[kind-1])
	a.log.Error("kinds of machines differ: the jobs of this module wait for an admin, who resumes or cancels one", "module", a.record.Module, "kind", a.kinds.names[kind-1])
	a.foreman.metrics.alarms.Inc()
	module, why := a.record.Module, alarmReason(a.record, reason)
	a.foreman.wait.Go(func() { a.foreman.holdAll(module, why) })
}

// alarmReason says for people why a job is on hold.
func alarmReason(j *ledger.Job, reason string) string {
	return fmt.Sprintf("on hold, by job %s: with module %s %s. An admin decides: resume it, and the server's answer is the right one, or cancel it", j.ID, j.Module, reason)
}

// holdAll puts all running jobs of a module on hold.
func (f *Foreman) holdAll(module sandbox.ID, reason string) {
	for _, j := range f.Ledger.Jobs() {
		if j.Module == module && j.State == ledger.Running {
			f.hold(f.ctx, j.ID, reason)
		}
	}
}

func (f *Foreman) hold(ctx context.Context, job, reason string) {
	_, err := f.Ledger.UpdateJob(ctx, job, func(j *ledger.Job) error {
		if j.State != ledger.Running || j.Decided {
			return errDecided
		}
		j.State, j.Alarm, j.Reason = ledger.Paused, true, reason
		return nil
	})
	if err != nil && !errors.Is(err, errDecided) && ctx.Err() == nil {
		f.Log.Error("a job could not be put on hold; it accepts nothing here until it is resumed", "job", job, "error", err)
	}
}

// joinAlarm puts a job on hold if another one of its module is.
func (a *activeJob) joinAlarm() {
	if a.record.State != ledger.Running || a.record.Decided {
		return
	}
	for _, j := range a.foreman.Ledger.Jobs() {
		if j.Module == a.record.Module && j.Alarm && j.State == ledger.Paused {
			a.step(schedule.Event{Kind: schedule.Hold})
			id := a.id
			a.foreman.wait.Go(func() { a.foreman.hold(a.foreman.ctx, id, j.Reason) })
			return
		}
	}
}
