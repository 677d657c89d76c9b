package gateway

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/wire"
)

const (
	// maxTake is how many tasks one question asks for.
	maxTake = 256
	// askAgain is how long a gateway waits when an owner does not answer.
	askAgain = 200 * time.Millisecond
)

// An asking is an offer that was asked in vain: only another one is worth
// asking, or the same one when the worker has answered some of what filled it.
type asking struct {
	epoch, version uint64
	full           bool
}

func (a asking) of(o dispatch.Offer) bool { return a.epoch == o.Epoch && a.version == o.Version }

// lendAll gets the worker tasks as long as it has credit.
func (s *session) lendAll(ctx context.Context) error {
	asked := map[string]asking{}
	var again <-chan time.Time // to ask once more where nobody answered
	idle := false
	for {
		if err := s.backlog.room(ctx); err != nil {
			return err
		}
		s.askAnew(asked)
		room := int(s.credit.Load() - s.sent.Load())
		if room <= 0 {
			select {
			case <-s.more:
				continue
			case <-s.gateway.draining:
				return s.untilEnd(ctx)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		wanted := min(room, maxTake)
		offer, ok, changed := s.gateway.pick(s.profiles, asked, wanted)
		if !ok {
			if !idle && !anyFull(asked) {
				s.send(wire.ToWorker{Idle: &wire.Idle{Reason: s.gateway.why(s.person.ID, s.profiles)}})
				idle = true
			}
			select {
			case <-changed:
				continue
			case <-s.more:
				continue
			case <-again:
				again = nil
				clear(asked)
				continue
			case <-s.gateway.draining:
				return s.untilEnd(ctx)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		n, full, err := s.take(ctx, offer, wanted)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			s.gateway.Log.Debug("could not get tasks", "job", offer.Job, "error", err)
			again = time.After(askAgain)
		}
		if n < wanted {
			s.gateway.untake(offer, wanted-n)
		}
		if n == 0 || full {
			asked[offer.Job] = asking{offer.Epoch, offer.Version, full}
		}
		idle = idle && n == 0
	}
}

// askAnew forgets that a job had no more for a full worker, when the worker has
// answered or given back some of that job's leases.
func (s *session) askAnew(asked map[string]asking) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(asked) >= maxSessionJobs {
		clear(asked) // most are over, and the others are asked once more
	}
	for job := range s.answered {
		if asked[job].full {
			delete(asked, job)
		}
		delete(s.answered, job)
	}
}

// maxSessionJobs is how many jobs a session remembers before it forgets those that
// are over: a worker may stay for months.
const maxSessionJobs = 256

// begins notes that the worker may have leases of a job.
func (s *session) begins(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) >= maxSessionJobs {
		for other := range s.jobs {
			if _, offered, _ := s.gateway.offer(other); !offered {
				delete(s.jobs, other)
			}
		}
	}
	s.jobs[job] = true
}

// hasRoom says that the worker holds fewer leases of a job than before.
func (s *session) hasRoom(job string) {
	s.mu.Lock()
	s.answered[job] = true
	s.mu.Unlock()
	s.poke()
}

// poke has lendAll look again.
func (s *session) poke() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// anyFull says whether the worker has work that keeps it from getting more.
func anyFull(asked map[string]asking) bool {
	for _, a := range asked {
		if a.full {
			return true
		}
	}
	return false
}

// untilEnd lends nothing more; the connection is going to end.
func (s *session) untilEnd(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// take gets up to n tasks of a job and lends them to the worker. full says that
// the worker has as many as it may have until it answers some.
func (s *session) take(ctx context.Context, o dispatch.Offer, n int) (got int, full bool, err error) {
	j, err := s.gateway.Ledger.Job(o.Job)
	if err != nil {
		return 0, false, err
	}
	program, err := s.gateway.Library.Program(ctx, j.Module)
	if err != nil {
		return 0, false, err
	}
	s.begins(o.Job)
	taken, err := s.gateway.foremen.Take(ctx, o, dispatch.Take{Person: s.person, Worker: s.id, N: n, Slots: int(s.slots.Load())})
	if err != nil || len(taken.Tasks) == 0 {
		return 0, taken.Full, err
	}
	module, err := hex.DecodeString(string(j.Module))
	if err != nil {
		return 0, false, err
	}
	b := wire.Batch{
		Job: j.ID, Title: j.Title, Module: module, Args: program.MapArgs(j.Args),
		Millis: s.gateway.TaskTime.Milliseconds(), Output: s.gateway.TaskOutput,
		Profile: j.Profile,
	}
	for _, t := range taken.Tasks {
		id := s.gateway.sign(lease{j.ID, t.Task}, s.person.ID)
		b.Leases = append(b.Leases, wire.Lease{ID: id, Task: t.Task, Input: t.Input, Hash: t.Hash})
	}
	s.sent.Add(uint64(len(b.Leases)))
	s.send(wire.ToWorker{Batches: []wire.Batch{b}})
	return len(b.Leases), taken.Full, nil
}

// takeReturns gives leases back that the worker will not compute.
func (s *session) takeReturns(leases [][]byte) {
	byJob := map[string][]uint32{}
	for _, data := range leases {
		if l, ok := s.gateway.verify(data, s.person.ID); ok {
			byJob[l.job] = append(byJob[l.job], l.task)
		}
	}
	for job, tasks := range byJob {
		if o, ok, _ := s.gateway.offer(job); ok {
			_ = s.gateway.foremen.Return(o, dispatch.Return{Person: s.person, Worker: s.id, Tasks: tasks}) // else the deadline does it
		}
		s.hasRoom(job)
	}
}

// takeResults passes results on, those of a job together, and answers the
// worker when the foreman has. The worker keeps them until then.
func (s *session) takeResults(ctx context.Context, results []wire.Result) {
	type report struct {
		leases  [][]byte
		answers []dispatch.Answer
		size    int
	}
	byJob := map[string]*report{}
	for _, r := range results {
		l, ok := s.gateway.verify(r.Lease, s.person.ID)
		if !ok {
			s.send(wire.ToWorker{Acks: []wire.Ack{{
				Lease: r.Lease, Status: wire.Rejected, Reason: "this grid never lent that task to this volunteer",
			}}})
			continue
		}
		if byJob[l.job] == nil {
			byJob[l.job] = &report{}
		}
		p := byJob[l.job]
		p.leases = append(p.leases, r.Lease)
		p.answers = append(p.answers, s.answer(l, r))
		p.size += r.Size()
	}
	for job, p := range byJob {
		s.backlog.add(p.size)
		go func() {
			defer s.backlog.add(-p.size)
			s.report(ctx, job, p.leases, p.answers)
		}()
	}
}

func (s *session) answer(l lease, r wire.Result) dispatch.Answer {
	a := dispatch.Answer{Task: l.task, Output: r.Output, Hash: r.Hash, Failure: r.Failure, Micros: r.Micros}
	if len(a.Output) > s.gateway.TaskOutput {
		a.Output, a.Failure = nil, &wire.Failure{Kind: "output", Message: "the output is larger than a task may write"}
	}
	return a
}

// report repeats answers until the owner of the job, whoever that is by then,
// has taken them, or the job is over.
func (s *session) report(ctx context.Context, job string, leases [][]byte, answers []dispatch.Answer) {
	acks := make([]wire.Ack, len(leases))
	for i, l := range leases {
		acks[i] = wire.Ack{Lease: l, Status: wire.Late}
	}
	for ctx.Err() == nil {
		o, ok, changed := s.gateway.offer(job)
		if ok {
			reported, err := s.gateway.foremen.Report(ctx, o, dispatch.Report{Person: s.person, Worker: s.id, Answers: answers})
			if err == nil && len(reported.Verdicts) == len(acks) {
				for i, v := range reported.Verdicts {
					acks[i].Status, acks[i].Reason = v.Status, v.Reason
				}
				if slices.ContainsFunc(acks, func(a wire.Ack) bool { return a.Status == wire.Accepted }) {
					s.keepAlias(ctx)
				}
				s.send(wire.ToWorker{Acks: acks})
				s.hasRoom(job)
				return
			}
		}
		if j, err := s.gateway.Ledger.Job(job); errors.Is(err, ledger.ErrNotFound) || err == nil && j.State.Final() {
			s.send(wire.ToWorker{Acks: acks})
			return
		}
		select {
		case <-changed:
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
}
