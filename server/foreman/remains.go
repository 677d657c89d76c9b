package foreman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"

	"potluck/sandbox"
	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/program"
	"potluck/server/schedule"
)

const (
	// maxRemnants is how many ended jobs have their outputs at hand.
	maxRemnants = 4
	// idleTime is how long these stay after somebody has asked for them.
	idleTime = time.Minute
	// endedTime bounds the answer to one question about an ended job.
	endedTime = time.Minute
)

// remains answers questions about jobs that failed or were cancelled. What was
// accepted of them stays in the ledger until they are deleted; it is read again
// when somebody asks, and is at hand for a while.
type remains struct {
	foreman *Foreman
	turn    chan struct{} // one job at a time is read
	mu      sync.Mutex
	all     map[string]*remnant
}

// A remnant is what was accepted of one job.
type remnant struct {
	job      *ledger.Job
	ready    chan struct{} // closed once the rest is there
	assembly *assemble.Assembly
	err      error
	users    int  // who hold it now
	dropped  bool // it closes with the last of them
	used     time.Time
	idle     *time.Timer // drops it when nobody has asked for a while
}

func newRemains(f *Foreman) remains {
	return remains{foreman: f, turn: make(chan struct{}, 1), all: map[string]*remnant{}}
}

// leftovers says whether a job is one of those that leave something behind.
func leftovers(j *ledger.Job) bool { return j.State == ledger.Failed || j.State == ledger.Cancelled }

// subscribe hears the questions; one foreman of the grid answers each.
func (r *remains) subscribe() error {
	f := r.foreman
	sub, err := f.Ledger.Conn().QueueSubscribe(dispatch.SubjectEnded, "foremen", func(m *nats.Msg) {
		f.wait.Go(func() {
			if err := r.answer(m); err != nil && f.ctx.Err() == nil {
				f.Log.Warn("could not answer a question about an ended job", "error", err)
			}
		})
	})
	if err != nil {
		return err
	}
	context.AfterFunc(f.ctx, func() { _ = sub.Unsubscribe() }) // it ends with the connection
	return nil
}

func (r *remains) answer(m *nats.Msg) error {
	var q dispatch.Query
	if err := dispatch.Decode(m.Data, &q); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.foreman.ctx, endedTime)
	defer cancel()
	data, err := r.query(ctx, q)
	return dispatch.AnswerQuery(r.foreman.Ledger.Conn(), m.Reply, data, err)
}

func (r *remains) query(ctx context.Context, q dispatch.Query) ([]byte, error) {
	j, err := r.foreman.Ledger.Job(q.Job)
	if err != nil || !leftovers(j) { // deleted, or tried again
		return nil, dispatch.ErrNobody
	}
	left := r.hold(j)
	defer r.release(left)
	select {
	case <-left.ready:
	case <-ctx.Done():
		return nil, fmt.Errorf("the outputs of the job are being read; this takes longer than %v: ask again", endedTime)
	}
	if left.err != nil {
		return nil, left.err
	}
	switch q.Want {
	case dispatch.WantProgress:
		return dispatch.Encode(dispatch.Progress{Job: j.ID, Total: j.Tasks, Done: left.assembly.Count() - left.assembly.Skipped()}), nil
	case dispatch.WantTasks:
		page, done := pageOf(left.assembly, j.Tasks, q, func(task int) dispatch.Open {
			return dispatch.Open{Task: task, State: dispatch.Waiting}
		})
		return withRecords(left.assembly, page, done)
	case dispatch.WantTiles:
		return dispatch.Encode(left.tiles(q)), nil
	case dispatch.WantOutput:
		return outputOf(left.assembly, q.From)
	case dispatch.WantPartial:
		r.foreman.metrics.partials.Inc()
		var out bytes.Buffer
		err := left.assembly.Write(ctx, &out)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = &dispatch.Fault{Words: fmt.Sprintf("what there is could not be put together in %v; the outputs of tasks can be had one by one", endedTime)}
		}
		return out.Bytes(), fault(err)
	}
	return nil, fmt.Errorf("no such question about an ended job: %q", q.Want)
}

// tiles says which tasks are done.
func (l *remnant) tiles(q dispatch.Query) dispatch.Tiles {
	n := min(max(1, q.N), maxTiles)
	t := dispatch.Tiles{Size: (l.job.Tasks + n - 1) / n}
	tiles := (l.job.Tasks + t.Size - 1) / t.Size
	none := make([]uint32, tiles)
	t.Done, t.Lent, t.Voting, t.Failed = make([]uint32, tiles), none, none, none
	for i := range l.job.Tasks {
		if l.assembly.Has(i) {
			t.Done[i/t.Size]++
		}
	}
	return t
}

// hold gives what is left of a job, and has it read if it is not at hand.
func (r *remains) hold(j *ledger.Job) *remnant {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.all[j.ID]
	if left == nil {
		left = &remnant{job: j, ready: make(chan struct{})}
		r.all[j.ID] = left
		r.foreman.wait.Go(func() { r.open(left) })
	}
	left.users++
	return left
}

func (r *remains) open(left *remnant) {
	defer close(left.ready)
	ctx := r.foreman.ctx
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		left.err = ctx.Err()
		return
	}
	assembly, err := r.foreman.gather(ctx, left.job)
	r.mu.Lock()
	defer r.mu.Unlock()
	left.assembly, left.err = assembly, err
	switch {
	case left.dropped:
		left.close()
	case err != nil:
		r.drop(left) // the next one tries again
	}
}

// release lets what is left of a job go. It goes from hand when nobody has asked
// for it for a while, or others have.
func (r *remains) release(left *remnant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left.users--
	left.used = time.Now()
	if left.dropped {
		left.close()
		return
	}
	for len(r.all) > maxRemnants && r.dropOldest(left.used) {
	}
	if left.idle != nil {
		left.idle.Reset(idleTime)
		return
	}
	left.idle = time.AfterFunc(idleTime, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.all[left.job.ID] == left && left.users == 0 { // else it is asked for now
			r.drop(left)
		}
	})
}

// dropOldest drops what nobody holds and nobody has asked for since a time.
func (r *remains) dropOldest(since time.Time) bool {
	var oldest *remnant
	for _, left := range r.all {
		if left.users == 0 && !left.used.After(since) && (oldest == nil || left.used.Before(oldest.used)) {
			oldest = left
		}
	}
	if oldest != nil {
		r.drop(oldest)
	}
	return oldest != nil
}

func (r *remains) drop(left *remnant) {
	delete(r.all, left.job.ID)
	left.dropped = true
	left.close()
}

// close frees what is left of a job once nobody holds it.
func (l *remnant) close() {
	if l.users == 0 && l.assembly != nil {
		l.assembly.Close()
	}
}

// forget drops what was left of a job that is tried again or deleted.
func (r *remains) forget(job string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if left := r.all[job]; left != nil {
		r.drop(left)
	}
}

// close drops everything; nobody asks any more.
func (r *remains) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, left := range r.all {
		r.drop(left)
	}
}

// gather puts together what was accepted of a job.
func (f *Foreman) gather(ctx context.Context, j *ledger.Job) (*assemble.Assembly, error) {
	policy, err := program.ParsePolicy(j.Policy)
	if err != nil {
		return nil, err
	}
	p, err := f.Library.Program(ctx, j.Module)
	if err != nil {
		return nil, err
	}
	params, err := f.Ledger.ReadBlob(ctx, j.Params)
	if err != nil {
		return nil, err
	}
	a := assemble.New(assemble.Plan{Program: *p, Params: params, Collect: j.Collect, Tasks: j.Tasks, Lazy: true}, f.Pool.For(sandbox.Account{Owner: j.Owner, Job: j.ID}), f.Scratch)
	damaged, err := f.Ledger.ReadResults(ctx, j, func(data []byte) error { return f.recall(ctx, j, a, data) })
	if err == nil && policy.Trust != schedule.Trusted {
		err = dropUnbelieved(a, j.Tasks)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	if damaged {
		f.Log.Error("some results of an ended job were damaged on disk; they are missing", "job", j.ID)
	}
	return a, nil
}

// recall takes one accepted result, as activeJob.replay does: what is said later
// of a task counts.
func (f *Foreman) recall(ctx context.Context, j *ledger.Job, a *assemble.Assembly, data []byte) error {
	var r accepted
	if err := cbor.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read an accepted result: %w", err)
	}
	task := r.Record.Task
	if task < 0 || task >= j.Tasks {
		return nil
	}
	for _, v := range r.Record.Voters {
		if f.reputation(v.ID).Standing == schedule.Quarantined {
			a.Disown(v.ID)
		}
	}
	if r.Confirms {
		old, _, ok, err := a.Record(task)
		if err != nil || !ok || !bytes.Equal(old.Hash, r.Record.Hash) {
			return err
		}
		return a.Confirm(task, r.Record.Voters, r.Record.Sure)
	}
	if r.Object {
		output, err := f.Ledger.GetObject(ctx, ledger.OutputObject(j.ID, r.Record.Hash))
		if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrDamaged) {
			f.Log.Error("an output of an ended job was lost to the disk; it is missing", "job", j.ID, "task", task, "error", err)
			return nil
		}
		if err != nil {
			return err
		}
		r.Output, r.Record.Bytes = output, len(output)
	}
	a.Remove(task)
	return a.Add(r.Record, r.Output)
}

// dropUnbelieved removes results that rest on the word of volunteers in
// quarantine alone.
func dropUnbelieved(a *assemble.Assembly, tasks int) error {
	for i := range tasks {
		r, ok, err := a.RecordOf(i)
		if err != nil {
			return err
		}
		if ok && r.Skipped == "" && !r.Sure && len(r.Voters) == 0 {
			a.Remove(i)
		}
	}
	return nil
}
