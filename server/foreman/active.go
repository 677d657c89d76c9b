package foreman

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"potluck/sandbox"
	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/program"
	"potluck/server/schedule"
	"potluck/wire"
)

// An activeJob is a job while this server owns it. One goroutine has it all.
type activeJob struct {
	foreman *Foreman
	own     *ledger.Ownership
	log     *slog.Logger
	updates chan *ledger.Job // the newest record that was not looked at yet

	record   *ledger.Job
	program  *program.Program
	params   []byte
	job      *schedule.Job
	results  *ledger.Results
	inputs   *ledger.ChunkReader
	assembly *assemble.Assembly
	outputs  outputs
	id       string // of the job; it, its owner and its number of tasks never change
	owner    string
	tasks    int
	stored   atomic.Int64 // bytes of results that count to them
	counted  int64        // likewise, when the quota was looked at last
	people   roll
	workers  index
	kinds    index // of machines
	effects  []schedule.Effect
	stepped  schedule.Time // when the scheduler was last told something,
	due      schedule.Time // and when it is to be told the time; 0 if that is not known

	writing  bool // an append is under way
	underway batch
	written  chan appended
	pending  batch         // waits for the next append
	caught   chan struct{} // there are liars
	lied     bool          // somebody was caught here
	liars    []string      // volunteers that were caught somewhere; the foreman's lock guards them
	verdicts chan verdict
	held     bool // a batch waits for the server to be well again
	ending   bool // the last work on the job goes on in the background
	finished chan error
	plight   plight
	crowded  bool   // it waits for the room that strangers share
	unread   string // what is wrong with an input

	offer      dispatch.Offer
	hungry     bool // somebody got less than they asked for since the last offer
	queued     int  // Counts.Queued at the last offer
	believed   int  // what is left of the last offer
	nextOffer  time.Time
	told       progressKey
	toldAt     time.Time
	stillSince time.Time // nothing is lent since then; see still
	failures   []dispatch.Failing
	skips      []dispatch.Failing // the first tasks that were left out
	skippedAll string             // why the job fails, all of whose tasks were left out
	omitted    map[int]*accepted  // those that an earlier owner left out, while their log is read
	noted      int                // failures, in all
	inVain     string             // why the referee could not compute a task, lately
}

// changed passes a record on; only the newest counts.
func (a *activeJob) changed(j *ledger.Job) {
	for {
		select {
		case a.updates <- j:
			return
		case <-a.updates:
		}
	}
}

// errOver ends run when the job needs no foreman any more.
var errOver = errors.New("the job is over")

// run works on a job until it is over (nil) or lost (why).
func (a *activeJob) run(ctx context.Context, j *ledger.Job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.start(ctx, j); err != nil {
		return err
	}
	defer a.assembly.Close()
	messages, queries := make(chan *nats.Msg, 1024), make(chan *nats.Msg, 1024)
	unsubscribe, err := a.subscribe(messages, queries)
	defer unsubscribe()
	if err != nil {
		return err
	}
	a.announce(true)
	a.tell()
	err = a.loop(ctx, messages, queries)
	cancel()
	if a.ending {
		err = errors.Join(err, <-a.finished) // it was cut off, or came to its end all the same
	}
	a.withdraw()
	unsubscribe()
	a.decline(messages, queries)
	if errors.Is(err, errOver) {
		return nil
	}
	return err
}

// subscribe has what gateways ask of this owner come by one channel, and what
// readers ask by another, so that neither keeps the others from being heard, until
// unsubscribe is called.
func (a *activeJob) subscribe(messages, queries chan *nats.Msg) (unsubscribe func(), err error) {
	var subs []*nats.Subscription
	unsubscribe = func() {
		for _, sub := range subs {
			_ = sub.Unsubscribe() // it ends with the connection
		}
	}
	for subject, by := range map[string]chan *nats.Msg{
		dispatch.Subject(a.id, a.own.Epoch, "*"): messages, dispatch.SubjectAsk: messages, dispatch.QuerySubject(a.id): queries,
	} {
		sub, err := a.foreman.Ledger.Conn().ChanSubscribe(subject, by)
		if err != nil {
			return unsubscribe, err
		}
		subs = append(subs, sub)
	}
	return unsubscribe, nil
}

// start builds the state of the job from the ledger.
func (a *activeJob) start(ctx context.Context, j *ledger.Job) (err error) {
	a.record = j
	policy, err := program.ParsePolicy(j.Policy)
	if err != nil {
		return err
	}
	if a.program, err = a.foreman.Library.Program(ctx, j.Module); err != nil {
		return err
	}
	if a.params, err = a.foreman.Ledger.ReadBlob(ctx, j.Params); err != nil {
		return err
	}
	if err = a.foreman.Ledger.DropTally(ctx, j.ID); err != nil {
		return err
	}
	a.inputs = a.foreman.Ledger.OpenChunks(j.Inputs)
	established, seniors, caught := a.foreman.Ledger.Established(time.Now())
	a.job = schedule.New(schedule.Config{
		Tasks: j.Tasks, Policy: policy, TimeLimit: a.foreman.TaskTime.Microseconds(),
		Seed: a.foreman.seed(j.ID), Established: established, Seniors: seniors, Caught: caught, Referees: judgedAtOnce, Decided: j.Decided,
		Skip: j.OnError == ledger.OnErrorSkip,
	})
	a.assembly = assemble.New(assemble.Plan{
		Program: *a.program, Params: a.params, Collect: j.Collect, Tasks: j.Tasks,
	}, a.foreman.Pool.For(a.account()), a.foreman.Scratch)
	a.outputs = newOutputs()
	a.outputs.ever = !a.foreman.Ledger.IsFresh(j.ID) // an earlier owner may have left some
	a.written, a.finished = make(chan appended, 1), make(chan error, 1)
	a.omitted = map[int]*accepted{}
	var damaged bool
	a.results, damaged, err = a.foreman.Ledger.OpenResults(ctx, j, func(data []byte) error { return a.replay(ctx, data) })
	if err != nil {
		a.assembly.Close()
		return err
	}
	if err := a.omit(ctx); err != nil {
		a.assembly.Close()
		return err
	}
	if damaged {
		a.log.Error("some results of this job were damaged on disk; their tasks are computed again")
	}
	if j.State == ledger.Paused {
		a.pause()
	}
	a.joinAlarm()
	a.offer = dispatch.Offer{Job: j.ID, Epoch: a.own.Epoch, Weight: j.Priority, Profile: j.Profile}
	a.react(ctx, a.step(schedule.Event{Kind: schedule.Tick})) // all may be done
	a.log.Info("working on a job", "program", j.Title, "tasks", j.Tasks, "done", a.assembly.Count())
	return nil
}

// account is whose turns the job takes in the sandbox.
func (a *activeJob) account() sandbox.Account {
	return sandbox.Account{Owner: a.owner, Job: a.id}
}

// seed gives what the chances of a job are drawn from: volunteers cannot know it.
func (f *Foreman) seed(job string) [32]byte {
	h := hmac.New(sha256.New, f.secret)
	h.Write([]byte("chances of " + job))
	return [32]byte(h.Sum(nil))
}

// step gives an event to the scheduler.
func (a *activeJob) step(e schedule.Event) []schedule.Effect {
	at := now()
	if gap := at - a.stepped; a.stepped > 0 && gap > maxGap {
		a.log.Warn("this server stood still; the deadlines of what is lent move", "seconds", gap/schedule.Second)
		a.effects = a.job.Step(at, schedule.Event{Kind: schedule.Gap, Took: gap}, a.effects[:0]) // it has none
	}
	a.stepped = at
	a.effects = a.job.Step(at, e, a.effects[:0])
	return a.effects
}

const (
	tickEvery = time.Second
	// maxGap is how long the scheduler may hear nothing, not even a tick, before
	// that is the fault of this server: what workers sent meanwhile waits to be read.
	maxGap = 4 * schedule.Second
	// soonest keeps what is due at once from keeping the loop busy.
	soonest = time.Millisecond
)

func (a *activeJob) loop(ctx context.Context, messages, queries <-chan *nats.Msg) error {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	offers, due := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	defer offers.Stop()
	defer due.Stop()
	a.conclude(ctx) // all may be done
	for {
		var err error
		select {
		case m := <-messages:
			err = a.handleAll(ctx, m, messages)
		case m := <-queries:
			err = a.handle(ctx, m)
		case w := <-a.written:
			err = a.landed(ctx, w)
		case err = <-a.finished:
			a.ending = false
		case j := <-a.updates:
			err = a.update(ctx, j)
		case v := <-a.verdicts:
			err = a.judged(ctx, v)
		case <-a.caught:
			a.shun(ctx)
		case <-due.C:
			a.tick(ctx)
		case <-tick.C:
			a.tick(ctx)
			a.sweep(ctx)
			a.tell()
		case <-offers.C:
		case <-a.own.Lost:
			err = ledger.ErrFenced
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		a.flush(ctx)
		a.conclude(ctx)
		if wait := a.announce(false); wait > 0 {
			offers.Reset(wait)
		}
		if at, ok := a.job.Next(); ok && at != a.due {
			a.due = at
			due.Reset(max(soonest, time.Duration(at-now())*time.Microsecond))
		}
	}
}

// tick has the scheduler look at the time, which can make a task worth lending
// again.
func (a *activeJob) tick(ctx context.Context) {
	a.due = 0
	a.lookAround()
	a.react(ctx, a.step(schedule.Event{Kind: schedule.Tick}))
	a.queued = -1
}

// handleAll handles a message and those that came meanwhile: what they bring
// is made durable together.
func (a *activeJob) handleAll(ctx context.Context, m *nats.Msg, messages <-chan *nats.Msg) error {
	for {
		if err := a.handle(ctx, m); err != nil {
			return err
		}
		select {
		case m = <-messages:
		default:
			return nil
		}
		if a.pending.size > maxPending {
			return nil
		}
	}
}

// update follows the record: somebody paused, resumed, cancelled or deleted
// the job.
func (a *activeJob) update(ctx context.Context, j *ledger.Job) error {
	was := a.record.State
	a.record = j
	switch j.State {
	case ledger.Running:
		if was == ledger.Paused {
			a.step(schedule.Event{Kind: schedule.Resume})
			a.queued, a.hungry = -1, true
		}
	case ledger.Paused:
		a.pause()
	case ledger.Cancelled, "":
		a.react(ctx, a.step(schedule.Event{Kind: schedule.Cancel}))
		a.foreman.metrics.jobs.WithLabelValues(string(ledger.Cancelled)).Inc()
		return errors.Join(a.leave(ctx), errOver)
	case ledger.Done, ledger.Failed:
		if !a.ending { // this is not our own doing
			return errOver
		}
	}
	return nil
}

// leave leaves what was accepted behind for those who ask for it, unless the job
// is deleted or there is nothing.
func (a *activeJob) leave(ctx context.Context) error {
	err := a.reward(ctx)
	done, mean, kept := a.assembly.Count()-a.assembly.Skipped(), a.job.Mean(), a.stored.Load()
	if a.record.State == "" || done == 0 && !a.writing {
		return errors.Join(err, a.foreman.Ledger.DeleteResults(ctx, a.record), a.discardOutputs(ctx))
	}
	a.discard(ctx, slices.Collect(maps.Keys(a.outputs.all))) // they were not accepted
	_, noted := a.foreman.Ledger.UpdateJob(ctx, a.id, func(j *ledger.Job) error {
		j.Done, j.Mean, j.Kept, j.Skipped = done, mean, kept, a.assembly.Skipped()
		return nil
	})
	if errors.Is(noted, ledger.ErrNotFound) { // deleted meanwhile
		noted = nil
	}
	return errors.Join(err, noted)
}

// pause has nothing be lent, and nothing be accepted if that is for an alarm.
func (a *activeJob) pause() {
	kind := schedule.Pause
	if a.record.Alarm {
		kind = schedule.Hold
	}
	a.step(schedule.Event{Kind: kind})
}

// react does what effects ask for that is the same wherever they come from.
func (a *activeJob) react(ctx context.Context, effects []schedule.Effect) {
	for _, e := range effects {
		switch e.Kind {
		case schedule.Revoke:
			worker := a.workers.names[e.Worker]
			a.foreman.revoke(dispatch.Revoke{Worker: worker, Job: a.id, Task: e.Task})
		case schedule.Dissent:
			person := a.people.all[e.Volunteer]
			a.log.Warn("a volunteer's result was not the right one", "task", e.Task, "volunteer", person.ID)
			a.noteFailure(ctx, e.Task, person, "its result is not the right one", nil)
		case schedule.Conduct:
			a.conduct(e)
		case schedule.Judge:
			a.judge(ctx, e.Task)
		case schedule.Retract:
			a.foreman.metrics.retracts.Inc()
			a.assembly.Remove(int(e.Task))
			a.hungry = true
		case schedule.Fail:
			reason := e.Reason + program.InputNote(a.inputOf(ctx, e.Task))
			if a.record.OnError == ledger.OnErrorSkip {
				a.skippedAll = reason // the job fails once that is durable
			} else {
				a.fail(ctx, reason)
			}
		case schedule.Skip:
			a.skip(ctx, e)
		case schedule.Alarm:
			a.alarm(e.Machine)
		case schedule.Lend, schedule.Accept, schedule.Confirm, schedule.Pending, schedule.Late, schedule.Refuse, schedule.Finish:
		}
	}
}

// conduct passes on what a volunteer did.
func (a *activeJob) conduct(e schedule.Effect) {
	id, why := a.people.all[e.Volunteer].ID, ""
	if e.Did.Lied {
		why = fmt.Sprintf("a result for job %s (%s) was wrong", a.id, a.record.Title)
		a.lied = true
		a.assembly.Disown(id)
		a.foreman.metrics.liars.Inc()
		a.log.Warn("a volunteer is in quarantine: their result was wrong", "volunteer", id)
	}
	if e.Did.Reinstated {
		a.assembly.Reown(id)
		a.log.Warn("a volunteer is in quarantine no more: their kind of machine differs", "volunteer", id)
	}
	a.foreman.say(id, e.Did, why)
}

// fail ends the job as failed. Its results stay, for a retry.
func (a *activeJob) fail(ctx context.Context, reason string) {
	a.log.Warn("a job failed", "reason", reason)
	a.tell()
	tries, mean, done, kept := slices.Clone(a.failures), a.job.Mean(), a.assembly.Count()-a.assembly.Skipped(), a.stored.Load()
	skipped := a.assembly.Skipped()
	a.end(ctx, func() error {
		failures, err := a.storeTries(ctx, ".failures", tries)
		if err == nil {
			err = a.reward(ctx)
		}
		if err != nil {
			return err
		}
		_, err = a.foreman.Ledger.UpdateJob(ctx, a.id, func(j *ledger.Job) error {
			if j.State.Final() {
				return errOver
			}
			j.State, j.Reason, j.Finished, j.Done = ledger.Failed, reason, clock(), done
			j.Failures, j.Mean, j.Kept, j.Skipped = failures, mean, kept, skipped
			return nil
		})
		if err == nil {
			a.foreman.metrics.jobs.WithLabelValues(string(ledger.Failed)).Inc()
		}
		return err
	})
}

// end does the last work on a job in the background and then ends the loop. If
// the loop ends before, that work is cut off.
func (a *activeJob) end(ctx context.Context, last func() error) {
	a.ending = true
	a.foreman.wait.Go(func() {
		err := a.persist(ctx, last)
		if err == nil {
			err = errOver
		}
		a.finished <- err
	})
}

func errWait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// repeatAfter is when progress is told again that has not changed: who heard of it
// before they heard that the job runs has forgotten it.
const repeatAfter = 5 * time.Second

// tell sends the progress out if it has changed, or was told long ago.
func (a *activeJob) tell() {
	p := a.progress()
	key := progressKey{p.Done + p.Skipped, p.Lent, p.Waiting, p.Voting, a.noted, p.Stuck}
	if key == a.told && time.Since(a.toldAt) < repeatAfter {
		return
	}
	a.told, a.toldAt = key, time.Now()
	_ = a.foreman.Ledger.Conn().Publish(dispatch.SubjectProgress, dispatch.Encode(p)) // the next one says it again
}

type progressKey struct {
	done, lent, waiting, voting, failures int
	stuck                                 string
}

func (a *activeJob) progress() dispatch.Progress {
	c := a.job.Counts()
	p := dispatch.Progress{
		Job: a.id, Total: c.Total, Done: a.assembly.Count() - a.assembly.Skipped(), Lent: c.Lent, Waiting: c.Waiting,
		Voting: max(0, c.Open-c.Lent), Mean: a.job.Mean(), Failures: slices.Clone(a.failures),
		Skipped: a.assembly.Skipped(), Skips: slices.Clone(a.skips),
	}
	switch {
	case a.plight.get() != "":
		p.Stuck = a.plight.get()
	case a.unread != "" && c.Lent == 0 && c.Accepted < c.Total:
		p.Stuck = a.unread
	case a.record.State == ledger.Paused && a.record.Alarm:
		p.Stuck = a.record.Reason
	case a.record.State == ledger.Paused:
		p.Stuck = "paused"
	case a.still(c) > stuckAfter:
		p.Stuck = a.waits(c)
	}
	return p
}

// waits says what a job waits for of which nothing is lent.
func (a *activeJob) waits(c schedule.Counts) string {
	switch {
	case c.Judged > 0:
		return fmt.Sprintf("waiting for the server, which computes %d tasks itself to check what volunteers say, in %.0f %% of a core", c.Judged, 100*a.foreman.RefereeShare)
	case c.Vain > 0:
		return fmt.Sprintf("waiting for volunteers whose answers count, or a worker with a runner's token: %d tasks are too much for the server itself to check (%s)", c.Vain, a.inVain)
	case c.Open > 0:
		return fmt.Sprintf("waiting for other volunteers: %d tasks need one who has not answered them", c.Open)
	}
	return "waiting for volunteers"
}

// stuckAfter is how long nothing must be lent before people hear of it: between
// two takes there is a moment without.
const stuckAfter = 3 * time.Second

// still is for how long nothing has been lent though there is work.
func (a *activeJob) still(c schedule.Counts) time.Duration {
	if c.Lent > 0 || c.Accepted == c.Total {
		a.stillSince = time.Time{}
		return 0
	}
	if a.stillSince.IsZero() {
		a.stillSince = time.Now()
	}
	return time.Since(a.stillSince)
}

// index numbers names. Number 0 is nobody's.
type index struct {
	numbers map[string]uint32
	names   []string
	free    []uint32 // numbers of names that are gone
}

// of gives the number of a name that is new or known.
func (x *index) of(name string) uint32 {
	if n, ok := x.numbers[name]; ok {
		return n
	}
	if x.numbers == nil {
		x.numbers, x.names = map[string]uint32{}, []string{""}
	}
	n := uint32(len(x.names))
	if last := len(x.free) - 1; last >= 0 {
		n, x.free = x.free[last], x.free[:last]
		x.names[n] = name
	} else {
		x.names = append(x.names, name)
	}
	x.numbers[name] = n
	return n
}

// known gives the number of a name, 0 if it has none: what somebody brings who has
// gone meanwhile is no reason to remember them.
func (x *index) known(name string) uint32 { return x.numbers[name] }

// forget lets another name have the number of one that is gone.
func (x *index) forget(name string) {
	if n, ok := x.numbers[name]; ok {
		delete(x.numbers, name)
		x.names[n], x.free = "", append(x.free, n)
	}
}

// offerPause is how long a foreman keeps quiet after an offer.
const offerPause = 5 * time.Millisecond

// announce offers the job to the gateways if there is something new to say:
// there is something to lend or nothing any more, more than they believe, or
// something else for those who got too little. It returns how long to wait
// before it could, if it is too early.
func (a *activeJob) announce(first bool) time.Duration {
	c := a.job.Counts()
	if a.job.Over() || a.record.State != ledger.Running || a.plight.get() != "" {
		c.Waiting, c.More = 0, 0
	}
	all := c.Waiting + c.More
	more := all > 0 && (a.believed <= all/2 || a.hungry && a.queued != c.Queued)
	if !first && !more && (all == 0) == (a.offer.Tasks() == 0) {
		return 0
	}
	if wait := time.Until(a.nextOffer); wait > 0 && !first {
		return wait
	}
	a.hungry, a.queued, a.believed = false, c.Queued, all
	a.offer.Version++
	a.offer.Waiting, a.offer.More, a.offer.Mean = c.Waiting, c.More, a.job.Mean()
	a.nextOffer = time.Now().Add(offerPause)
	_ = a.foreman.Ledger.Conn().Publish(dispatch.SubjectOffers, dispatch.Encode(a.offer)) // a lost one is repeated
	return 0
}

// withdraw tells the gateways that this owner has nothing to offer any more.
func (a *activeJob) withdraw() {
	a.offer.Version++
	a.offer.Waiting, a.offer.More = -1, 0
	_ = a.foreman.Ledger.Conn().Publish(dispatch.SubjectOffers, dispatch.Encode(a.offer)) // they find out anyway
}

// verdictOf turns an effect on a reported result into what the worker is told.
func verdictOf(k schedule.EffectKind) (wire.Status, bool) {
	switch k {
	case schedule.Accept, schedule.Confirm:
		return wire.Accepted, true
	case schedule.Pending, schedule.Fail, schedule.Skip:
		return wire.Pending, true
	case schedule.Late:
		return wire.Late, true
	case schedule.Refuse:
		return wire.Rejected, true
	case schedule.Lend, schedule.Revoke, schedule.Retract, schedule.Judge, schedule.Conduct, schedule.Dissent, schedule.Alarm, schedule.Finish:
	}
	return 0, false
}
