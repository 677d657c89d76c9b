package foreman

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/schedule"
	"potluck/wire"
)

// A referee computes tasks that volunteers disagree on, or that nobody else can
// confirm, in the server's own sandbox: one at a time, those of owners and jobs in
// turn, and it rests after each, so that it takes no more than its share of a core.
type referee struct {
	pool  *sandbox.Pool
	share float64
	turns *sandbox.Turns
}

func newReferee(pool *sandbox.Pool, share float64) *referee {
	return &referee{pool: pool, share: share, turns: sandbox.NewTurns(1, 0)}
}

// judgedAtOnce is how many tasks of a job may wait for the referee, so that it
// does not wait for them.
const judgedAtOnce = 2

// refereeTime is how much longer than a volunteer the referee may take: the
// server has other things to do.
const refereeTime = 3

// compute computes a task when it is its turn.
func (r *referee) compute(ctx context.Context, t sandbox.Task, by sandbox.Account) sandbox.Outcome {
	turn, err := r.turns.Take(ctx, by)
	if err != nil {
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Load, Message: err.Error()}}
	}
	o := r.pool.For(by).Run(ctx, t)
	time.AfterFunc(time.Duration(float64(o.Took)*(1/r.share-1)), turn.Leave)
	return o
}

// A verdict is what the referee says of a task: an answer like a volunteer's.
type verdict struct {
	answer  dispatch.Answer
	hash    []byte
	trouble bool // it failed by the server's own fault
}

// judge has the referee compute a task in the background.
func (a *activeJob) judge(ctx context.Context, task uint32) {
	inputs, args, by := a.foreman.Ledger.OpenChunks(a.record.Inputs), a.program.MapArgs(a.record.Args), a.account()
	a.foreman.metrics.judged.Inc()
	a.foreman.wait.Go(func() {
		input, err := inputs.Get(ctx, int(task))
		var o sandbox.Outcome
		if err == nil {
			o = a.foreman.referee.compute(ctx, sandbox.Task{
				Module: a.program.Module, Args: args, Input: input,
				Time: refereeTime * a.foreman.TaskTime, Output: a.foreman.TaskOutput,
			}, by)
		}
		v, err2 := a.verdictOf(ctx, task, o)
		if err = errors.Join(err, err2); err != nil {
			v.answer.Failure, v.trouble = &wire.Failure{Kind: string(sandbox.Crash), Message: err.Error()}, true
		}
		select {
		case a.verdicts <- v:
		case <-ctx.Done():
		}
	})
}

// verdictOf makes an answer of an outcome. A large output goes where volunteers
// send theirs.
func (a *activeJob) verdictOf(ctx context.Context, task uint32, o sandbox.Outcome) (v verdict, err error) {
	v.answer = dispatch.Answer{Task: task, Output: o.Output, Micros: o.Took.Microseconds()}
	sum := sha256.Sum256(o.Output)
	v.hash = sum[:]
	if f := o.Failure; f != nil {
		v.answer.Failure = &wire.Failure{Kind: string(f.Kind), Message: f.Message, Stderr: o.Stderr}
	} else if len(o.Output) > wire.MaxInline {
		v.answer.Output, v.answer.Hash = nil, v.hash
		err = a.foreman.Ledger.PutObject(ctx, ledger.OutputObject(a.id, v.hash), bytes.NewReader(o.Output))
	}
	return v, err
}

// judged takes the referee's answer.
func (a *activeJob) judged(ctx context.Context, v verdict) error {
	e := schedule.Event{Kind: schedule.Verdict, Task: v.answer.Task}
	copy(e.Digest[:], v.hash)
	if f := v.answer.Failure; f != nil {
		e.Kind, e.Reason, e.Blame = schedule.NoVerdict, reason(f), blame(f, dispatch.Person{})
		copy(e.Digest[:], way(f))
		if f.Kind == string(sandbox.Time) { // on a slow server
			e.Blame = schedule.Elsewhere
		}
		if v.trouble || e.Blame == schedule.OfMachine {
			e.Blame = schedule.OfMachine
			a.log.Error("the server itself could not compute a task; trying again", "task", v.answer.Task, "error", f.Message)
		}
		a.inVain = clip(f.Message, 200)
	}
	a.queued = -1 // a newcomer may have another
	_, err := a.settle(ctx, e, v.answer, v.hash)
	return err
}
