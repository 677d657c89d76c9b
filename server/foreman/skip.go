package foreman

import (
	"context"
	"maps"
	"slices"

	"potluck/sandbox"
	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/program"
	"potluck/server/schedule"
)

const (
	// keptSkips is how many of the tasks that were left out a job tells at once;
	// the table of tasks has all.
	keptSkips = 50
	// maxReason is how many bytes a record has of why its task was left out.
	maxReason = 600
)

// skip has it made durable that a task is left out, as if that were its result.
func (a *activeJob) skip(ctx context.Context, e schedule.Effect) {
	reason := clip(e.Reason, maxReason) + program.InputNote(a.inputOf(ctx, e.Task))
	a.log.Warn("a task is skipped", "task", e.Task, "reason", reason)
	r := accepted{Record: assemble.Record{Task: int(e.Task), Accepted: clock().UnixMilli(), Skipped: reason}}
	if err := a.pending.add(&r); err != nil {
		panic(err) // plain values never fail
	}
}

// leaveOut takes into the assembly that a task is skipped.
func (a *activeJob) leaveOut(r assemble.Record) error {
	if !a.job.Skipped(uint32(r.Task)) {
		return nil
	}
	a.assembly.Remove(r.Task)
	if err := a.assembly.Add(r, nil); err != nil {
		return err
	}
	if len(a.skips) < keptSkips {
		a.skips = append(a.skips, dispatch.Failing{Task: r.Task, Reason: sandbox.LastLines([]byte(r.Skipped), maxReason), At: r.Accepted})
	}
	return nil
}

// omit leaves out what an earlier owner of the job has left out. Was that all, the
// job has failed, and now all is tried again.
func (a *activeJob) omit(ctx context.Context) error {
	if len(a.omitted) == a.tasks {
		a.omitted = nil
	}
	for _, task := range slices.Sorted(maps.Keys(a.omitted)) {
		a.react(ctx, a.step(schedule.Event{Kind: schedule.Omit, Task: uint32(task)}))
		if err := a.leaveOut(a.omitted[task].Record); err != nil {
			return err
		}
	}
	a.omitted = nil
	return nil
}
