package foreman

import (
	"context"
	"crypto/sha256"
	"time"

	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/schedule"
	"potluck/wire"
)

// A referee computes tasks that volunteers disagree on, or that nobody else can
// confirm, in the server's own sandbox: one at a time, and it rests after each,
// so that it takes no more than its share of a core.
type referee struct {
	run   func(context.Context, sandbox.Task) sandbox.Outcome
	share float64
	turn  chan struct{}
}

func newReferee(run func(context.Context, sandbox.Task) sandbox.Outcome, share float64) *referee {
	return &referee{run: run, share: share, turn: make(chan struct{}, 1)}
}

// judgedAtOnce is how many tasks of a job may wait for the referee, so that he
// does not wait for them.
const judgedAtOnce = 2

// refereeTime is how much longer than a volunteer the referee may take: the
// server has other things to do.
const refereeTime = 3

// compute computes a task when it is its turn.
func (r *referee) compute(ctx context.Context, t sandbox.Task) sandbox.Outcome {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Crash, Message: ctx.Err().Error()}}
	}
	o := r.run(ctx, t)
	go func() {
		_ = errWait(ctx, time.Duration(float64(o.Took)*(1/r.share-1))) // it rests, or there is nothing more to do
		<-r.turn
	}()
	return o
}

// A verdict is what the referee says of a task.
type verdict struct {
	task    uint32
	outcome sandbox.Outcome
}

// judge has the referee compute a task in the background.
func (a *activeJob) judge(ctx context.Context, task uint32) {
	inputs, args := a.foreman.Ledger.OpenChunks(a.record.Inputs), a.program.MapArgs(a.record.Args)
	a.foreman.metrics.judged.Inc()
	a.foreman.wait.Go(func() {
		v := verdict{task: task}
		input, err := inputs.Get(ctx, int(task))
		if err != nil {
			v.outcome.Failure = &sandbox.Failure{Kind: sandbox.Crash, Message: err.Error()}
		} else {
			v.outcome = a.foreman.referee.compute(ctx, sandbox.Task{
				Module: a.program.Module, Args: args, Input: input,
				Time: refereeTime * a.foreman.TaskTime, Output: a.foreman.TaskOutput,
			})
		}
		select {
		case a.verdicts <- v:
		case <-ctx.Done():
		}
	})
}

// judged takes the referee's answer.
func (a *activeJob) judged(ctx context.Context, v verdict) error {
	e := schedule.Event{Kind: schedule.Verdict, Task: v.task}
	answer := dispatch.Answer{Task: v.task, Output: v.outcome.Output}
	sum := sha256.Sum256(answer.Output)
	copy(e.Digest[:], sum[:])
	if f := v.outcome.Failure; f != nil {
		e.Kind, e.Reason = schedule.NoVerdict, reason(&wire.Failure{Kind: string(f.Kind), Message: f.Message, Stderr: v.outcome.Stderr})
	}
	_, err := a.settle(ctx, e, answer, sum[:])
	return err
}
