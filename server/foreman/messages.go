package foreman

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/program"
	"potluck/server/schedule"
	"potluck/wire"
)

// handle handles one message of a gateway or the API. What makes no sense is
// logged and dropped: it comes from another version of ourselves.
func (a *activeJob) handle(ctx context.Context, m *nats.Msg) error {
	var err error
	switch {
	case m.Subject == dispatch.SubjectAsk:
		a.announce(true)
	case m.Subject == dispatch.QuerySubject(a.id):
		err = a.query(ctx, m)
	case strings.HasSuffix(m.Subject, ".take"):
		err = a.take(ctx, m)
	case strings.HasSuffix(m.Subject, ".report"):
		err = a.report(ctx, m)
	case strings.HasSuffix(m.Subject, ".deposit"):
		err = a.deposit(ctx, m)
	default:
		err = a.takeBack(ctx, m)
	}
	if err != nil {
		a.log.Warn("could not do what was asked", "subject", m.Subject, "error", err)
	}
	return ctx.Err()
}

// decline answers whoever still waits when the job is let go, so that they ask
// the next owner, or learns that there is none.
func (a *activeJob) decline(messages, queries <-chan *nats.Msg) {
	for _, r := range append(a.underway.replies, a.pending.replies...) {
		_ = r.message.Respond(dispatch.Encode(dispatch.Reported{})) // else they wait a little longer
	}
	for {
		select {
		case m := <-queries:
			_ = dispatch.AnswerQuery(a.foreman.Ledger.Conn(), m.Reply, nil, dispatch.ErrNobody) // likewise
		case m := <-messages:
			switch {
			case strings.HasSuffix(m.Subject, ".deposit"):
				_ = m.Respond(dispatch.Encode(dispatch.Deposited{Full: true})) // likewise
			case m.Reply != "":
				_ = m.Respond(dispatch.Encode(dispatch.Reported{})) // likewise
			}
		default:
			return
		}
	}
}

// take lends tasks to a worker.
func (a *activeJob) take(ctx context.Context, m *nats.Msg) error {
	var t dispatch.Take
	if err := dispatch.Decode(m.Data, &t); err != nil {
		return err
	}
	var taken dispatch.Taken
	if a.plight.get() == "" && a.pending.size < maxPending {
		taken.Tasks = a.lend(ctx, t)
	}
	if len(taken.Tasks) < t.N {
		taken.Full = a.job.Room(a.workers.of(t.Worker)) == 0
		a.hungry = true
	}
	a.believed -= len(taken.Tasks)
	a.foreman.metrics.leases.Add(float64(len(taken.Tasks)))
	return m.Respond(dispatch.Encode(taken))
}

func (a *activeJob) lend(ctx context.Context, t dispatch.Take) []dispatch.Task {
	e := schedule.Event{
		Kind: schedule.Want, Volunteer: a.volunteer(ctx, t.Person), Worker: a.workers.of(t.Worker),
		N: min(t.N, a.fitting()), Slots: t.Slots,
	}
	var tasks []dispatch.Task
	lost := []schedule.Event(nil)
	effects := a.step(e)
	for _, f := range effects {
		if f.Kind != schedule.Lend {
			continue
		}
		task, err := a.input(ctx, f.Task)
		if err != nil {
			if !a.hinder(err) {
				a.log.Error("cannot read the input of a task", "task", f.Task, "error", err)
				a.unread = fmt.Sprintf("the input of task %d cannot be read, and the server's log says why: submit the job again", f.Task)
			}
			lost = append(lost, schedule.Event{Kind: schedule.Return, Volunteer: f.Volunteer, Worker: f.Worker, Task: f.Task})
			continue
		}
		tasks = append(tasks, task)
	}
	for _, e := range lost {
		a.step(e)
	}
	return tasks
}

// fitting is how many tasks fit into one message.
func (a *activeJob) fitting() int {
	const overhead = 64
	return max(1, wire.MaxBatch/(min(a.record.Largest, wire.MaxInline)+overhead))
}

func (a *activeJob) input(ctx context.Context, task uint32) (dispatch.Task, error) {
	t := dispatch.Task{Task: task}
	input, err := a.inputs.Get(ctx, int(task))
	if len(input) > wire.MaxInline {
		sum := sha256.Sum256(input)
		t.Hash = sum[:]
	} else {
		t.Input = input
	}
	return t, err
}

// takeBack lends to others what a worker gives back or leaves behind.
func (a *activeJob) takeBack(ctx context.Context, m *nats.Msg) error {
	var r dispatch.Return
	if err := dispatch.Decode(m.Data, &r); err != nil {
		return err
	}
	worker := a.workers.known(r.Worker)
	if len(r.Tasks) == 0 {
		if worker != 0 {
			a.react(ctx, a.step(schedule.Event{Kind: schedule.Gone, Worker: worker}))
			a.workers.forget(r.Worker)
		}
		a.hungry = true
		return nil
	}
	volunteer := a.volunteer(ctx, r.Person)
	for _, task := range r.Tasks {
		a.react(ctx, a.step(schedule.Event{Kind: schedule.Return, Volunteer: volunteer, Worker: worker, Task: task}))
	}
	a.hungry = true
	return nil
}

// report takes answers. The gateway is told about all of them together, once
// those that were accepted are durable.
func (a *activeJob) report(ctx context.Context, m *nats.Msg) error {
	var r dispatch.Report
	if err := dispatch.Decode(m.Data, &r); err != nil {
		return err
	}
	reply := &reply{message: m, verdicts: make([]dispatch.Verdict, len(r.Answers))}
	for i, answer := range r.Answers {
		v, err := a.answer(ctx, r, answer)
		if err != nil {
			return err // the gateway asks again
		}
		reply.verdicts[i] = v
		a.foreman.metrics.verdicts.WithLabelValues(verdictNames[v.Status]).Inc()
	}
	a.pending.replies = append(a.pending.replies, reply)
	return nil
}

var verdictNames = map[wire.Status]string{
	wire.Accepted: "accepted", wire.Pending: "pending", wire.Late: "late", wire.Rejected: "rejected",
}

// answer gives one answer to the scheduler.
func (a *activeJob) answer(ctx context.Context, r dispatch.Report, answer dispatch.Answer) (v dispatch.Verdict, err error) {
	e := schedule.Event{
		Kind: schedule.Result, Volunteer: a.volunteer(ctx, r.Person), Worker: a.workers.known(r.Worker),
		Task: answer.Task, Took: answer.Micros,
	}
	var hash []byte
	if f := answer.Failure; f != nil {
		e.Kind, e.Reason, e.Blame = schedule.Failure, reason(f), blame(f, r.Person)
		hash = way(f)
		a.noteFailure(ctx, answer.Task, r.Person, f.Message, f.Stderr)
	} else if hash = answer.Hash; hash == nil {
		sum := sha256.Sum256(answer.Output)
		hash = sum[:]
	} else if ok, err := a.foreman.Ledger.HasObject(ctx, ledger.OutputObject(a.id, hash)); err != nil || !ok {
		return dispatch.Verdict{Status: wire.Rejected, Reason: "the output was never sent"}, err
	}
	h := holder{answer.Task, e.Volunteer}
	if had, ok := a.outputs.of[h]; ok && !bytes.Equal(had[:], answer.Hash) { // it is not what the lease is answered with
		a.discard(ctx, a.outputs.release(h))
	}
	copy(e.Digest[:], hash)
	return a.settle(ctx, e, answer, hash)
}

// settle gives an answer of a volunteer or of the referee to the scheduler, and
// has what becomes of it made durable.
func (a *activeJob) settle(ctx context.Context, e schedule.Event, answer dispatch.Answer, hash []byte) (v dispatch.Verdict, err error) {
	effects := a.step(e)
	a.react(ctx, effects)
	for _, f := range effects {
		if s, is := verdictOf(f.Kind); is && f.Task == answer.Task {
			v = dispatch.Verdict{Status: s, Reason: f.Reason}
		}
		switch f.Kind {
		case schedule.Accept:
			err = a.pending.add(a.accept(f, answer, hash))
		case schedule.Confirm:
			err = a.pending.add(a.confirm(f, hash))
		default:
			continue
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

// way stands for the way in which a task failed, the same from all engines: each
// has words of its own for a trap.
func way(f *wire.Failure) []byte {
	text := f.Kind
	if f.Kind == string(sandbox.Exit) {
		text += "\x00" + f.Message // with the code
	}
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

// blame says whose fault a failure may be. The server has loaded the module of
// each job, so a machine that cannot has trouble of its own.
func blame(f *wire.Failure, p dispatch.Person) schedule.Blame {
	switch sandbox.Kind(f.Kind) {
	case sandbox.Exit, sandbox.Trap, sandbox.Output:
		return schedule.OfTask
	case sandbox.Time:
		if p.InBrowser() {
			return schedule.Elsewhere
		}
		return schedule.OfTask
	case sandbox.Load, sandbox.Machine:
		return schedule.OfMachine
	case sandbox.Crash:
	}
	return schedule.Twice
}

func reason(f *wire.Failure) string {
	text := f.Message
	if stderr := sandbox.LastLines(f.Stderr, 600); stderr != "" {
		text += "; it wrote: " + stderr
	}
	return text
}

func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// keptFailures is how many of the last failures a job remembers.
const keptFailures = 20

func (a *activeJob) noteFailure(ctx context.Context, task uint32, p dispatch.Person, reason string, stderr []byte) {
	if len(a.failures) == keptFailures {
		a.failures = a.failures[1:]
	}
	a.noted++
	a.failures = append(a.failures, dispatch.Failing{
		Task: int(task), By: p.ID, Reason: clip(reason, 600), Stderr: sandbox.LastLines(stderr, 2000), At: clock().UnixMilli(),
		Input: program.Excerpt(a.inputOf(ctx, task)),
	})
}

// inputOf is the input of a task to be shown; nothing if it cannot be read.
func (a *activeJob) inputOf(ctx context.Context, task uint32) []byte {
	input, err := a.inputs.Get(ctx, int(task))
	if err != nil {
		a.log.Warn("cannot read the input of a task to show it", "task", task, "error", err)
	}
	return input
}

// revoke tells a worker's gateway.
func (f *Foreman) revoke(r dispatch.Revoke) {
	gateway, _, _ := strings.Cut(r.Worker, ".")
	_ = f.Ledger.Conn().Publish(dispatch.SubjectRevoke+gateway, dispatch.Encode(r)) // a lost one only wastes work
}
