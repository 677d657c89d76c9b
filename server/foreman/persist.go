package foreman

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"

	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/program"
	"potluck/server/schedule"
	"potluck/server/scratch"
)

// maxPending is how many bytes of results may wait for the disk before no more
// tasks are lent.
const maxPending = 64 << 20

// An accepted result, as the ledger has it. A large output is an object of its
// own. A later result for the same task takes its place; one that Confirms it
// only says who agrees with it too.
type accepted struct {
	Record   assemble.Record `cbor:"1,keyasint"`
	Output   []byte          `cbor:"2,keyasint,omitempty"`
	Object   bool            `cbor:"3,keyasint,omitempty"`
	Confirms bool            `cbor:"4,keyasint,omitempty"`
}

// digest is what the scheduler knows a result by.
func (r *accepted) digest() (d schedule.Digest) {
	copy(d[:], r.Record.Hash)
	return d
}

// A reply is owed to a gateway once what it reported is durable.
type reply struct {
	message  *nats.Msg
	verdicts []dispatch.Verdict
}

// A batch is what goes to the ledger together.
type batch struct {
	results []*accepted
	encoded [][]byte
	size    int
	replies []*reply
}

func (b *batch) add(r *accepted) error {
	data, err := cbor.Marshal(r)
	if err != nil {
		return err
	}
	b.results, b.encoded, b.size = append(b.results, r), append(b.encoded, data), b.size+len(data)
	return nil
}

// appended is a batch that is durable now, or why it is not.
type appended struct {
	batch batch
	err   error
}

// accept makes the record of an accepted result.
func (a *activeJob) accept(e schedule.Effect, answer dispatch.Answer, hash []byte) *accepted {
	r := assemble.Record{
		Task: int(e.Task), Accepted: clock().UnixMilli(), Bytes: len(answer.Output), Hash: hash,
		Tries: e.Tries, Dissents: e.Dissents, Sure: e.Sure, Voters: a.voters(e),
	}
	for _, v := range e.Votes {
		if lent := v.Lent / 1000; v.Lent > 0 && (r.Lent == 0 || lent < r.Lent) {
			r.Lent = lent
		}
	}
	if answer.Hash != nil {
		a.outputs.keep(sum(answer.Hash))
	}
	return &accepted{Record: r, Output: answer.Output, Object: answer.Hash != nil}
}

// confirm makes the record of another answer that is the accepted one.
func (a *activeJob) confirm(e schedule.Effect, hash []byte) *accepted {
	return &accepted{Confirms: true, Record: assemble.Record{Task: int(e.Task), Hash: hash, Sure: e.Sure, Voters: a.voters(e)}}
}

func (a *activeJob) voters(e schedule.Effect) (voters []assemble.Voter) {
	for _, v := range e.Votes {
		voters = append(voters, assemble.Voter{ID: a.people.all[v.Volunteer].ID, Millis: int64(v.Millis)})
	}
	return voters
}

// flush starts an append of all that waits, unless one is under way: that is
// the group commit. A batch without results, only with replies, is done at once.
func (a *activeJob) flush(ctx context.Context) {
	if a.writing || len(a.pending.replies)+len(a.pending.results) == 0 {
		return
	}
	b := a.pending
	a.pending = batch{}
	if len(b.results) == 0 {
		a.answerAll(b)
		return
	}
	a.writing, a.underway = true, b
	a.foreman.metrics.appends.Inc()
	go func() { a.written <- appended{b, a.results.Append(ctx, b.encoded)} }()
}

// landed goes on after an append: the results count, and whoever sent them
// hears of it. What the server cannot do now waits and is tried again.
func (a *activeJob) landed(ctx context.Context, w appended) error {
	if w.err != nil {
		return a.hold(ctx, w.err, func() appended { return appended{w.batch, a.results.Append(ctx, w.batch.encoded)} })
	}
	for i, r := range w.batch.results {
		if err := a.keep(ctx, r); err != nil {
			w.batch.results = w.batch.results[i:]
			return a.hold(ctx, err, func() appended { return w })
		}
	}
	a.held, a.writing, a.underway = false, false, batch{}
	a.relieve()
	a.answerAll(w.batch)
	return nil
}

// conclude finishes the job once the scheduler says that it is done, and all of
// it is durable.
func (a *activeJob) conclude(ctx context.Context) {
	if a.job.Over() && !a.ending && !a.writing && len(a.pending.results) == 0 && a.assembly.Count() == a.tasks {
		if a.skippedAll != "" {
			a.fail(ctx, a.skippedAll)
		} else {
			a.finish(ctx)
		}
	}
}

func (a *activeJob) answerAll(b batch) {
	for _, r := range b.replies {
		_ = r.message.Respond(dispatch.Encode(dispatch.Reported{Verdicts: r.verdicts})) // it asks again
	}
}

// keep takes a durable result into the assembly, unless it was taken back
// meanwhile.
func (a *activeJob) keep(ctx context.Context, r *accepted) error {
	task := r.Record.Task
	if r.Record.Skipped != "" {
		return a.leaveOut(r.Record)
	}
	if !a.job.Stands(uint32(task), r.digest()) {
		return nil
	}
	if r.Confirms {
		return a.assembly.Confirm(task, r.Record.Voters, r.Record.Sure)
	}
	if r.Object {
		if err := a.fetch(ctx, r); err != nil {
			return err
		}
	}
	a.assembly.Remove(task)
	if err := a.assembly.Add(r.Record, r.Output); err != nil {
		return err
	}
	a.count(ctx, len(r.Output))
	if r.Object {
		r.Output = nil // others of the batch may be as large
	}
	return nil
}

// fetch reads the output of a result that is an object of its own, unless it is here.
func (a *activeJob) fetch(ctx context.Context, r *accepted) (err error) {
	if r.Output == nil {
		r.Output, err = a.foreman.Ledger.GetObject(ctx, ledger.OutputObject(a.id, r.Record.Hash))
		r.Record.Bytes = len(r.Output)
	}
	return err
}

// lost says whether the output of a result was lost to the disk. What is left of it
// goes, so that it is stored again when its task is computed again.
func (a *activeJob) lost(ctx context.Context, r *accepted) (bool, error) {
	err := a.fetch(ctx, r)
	if !errors.Is(err, ledger.ErrDamaged) && !errors.Is(err, ledger.ErrNotFound) {
		return false, err
	}
	a.log.Error("an output was lost to the disk; its task is computed again", "task", r.Record.Task, "error", err)
	return true, a.foreman.Ledger.DeleteObject(ctx, ledger.OutputObject(a.id, r.Record.Hash))
}

// replay takes a result that was accepted before this foreman owned the job. It
// counts if one of those who gave it may still be believed.
func (a *activeJob) replay(ctx context.Context, data []byte) error {
	var r accepted
	if err := cbor.Unmarshal(data, &r); err != nil {
		return fmt.Errorf("read an accepted result: %w", err)
	}
	task := r.Record.Task
	if task < 0 || task >= a.tasks {
		return nil
	}
	e := schedule.Event{Kind: schedule.Restore, Task: uint32(task), Digest: r.digest(), Sure: r.Record.Sure}
	if r.Record.Skipped != "" {
		a.omitted[task] = &r
		return nil
	}
	delete(a.omitted, task)
	if r.Object {
		if lost, err := a.lost(ctx, &r); lost || err != nil {
			return err
		}
		a.outputs.keep(sum(r.Record.Hash))
	}
	voters := r.Record.Voters
	if r.Confirms {
		old, ok, err := a.assembly.RecordOf(task)
		if err != nil || !ok || !bytes.Equal(old.Hash, r.Record.Hash) {
			return err
		}
		voters, e.Sure = old.And(voters), e.Sure || old.Sure
	}
	for _, v := range voters {
		n := a.volunteer(ctx, dispatch.Person{ID: v.ID})
		e.Votes = append(e.Votes, schedule.Vote{Volunteer: n, Millis: uint32(v.Millis)})
	}
	a.step(e)
	if !a.job.Accepted(uint32(task)) {
		a.assembly.Remove(task)
		return nil
	}
	return a.keep(ctx, &r)
}

// finish makes the artefact, stores it and the records, and closes the job, in
// this order: after a crash the next owner does it again.
func (a *activeJob) finish(ctx context.Context) {
	mean, lied, first := a.job.Mean(), a.lied, slices.Clone(a.skips)
	a.end(ctx, func() error {
		if lied { // nobody who was caught is believed longer than the job lasts
			a.foreman.tellLedger(ctx)
		}
		result, err := a.storeResult(ctx)
		if err != nil {
			return a.finishFailed(ctx, err)
		}
		records, kept, err := a.storeRecords(ctx)
		if err != nil {
			return err
		}
		skipped := a.assembly.Skipped()
		skips, err := a.storeTries(ctx, ".skips", first)
		if err != nil {
			return err
		}
		j, err := a.foreman.Ledger.UpdateJob(ctx, a.id, func(j *ledger.Job) error {
			if j.State.Final() {
				return errOver
			}
			j.State, j.Reason, j.Finished, j.Done = ledger.Done, "", clock(), j.Tasks-skipped
			j.Skipped, j.Skips = skipped, skips
			j.Result, j.Records, j.Kept, j.Mean = result, records, kept, mean
			return nil
		})
		if errors.Is(err, errOver) { // perhaps by a try whose answer was lost
			if j, err = a.foreman.Ledger.ReadJob(ctx, a.id); err == nil && (j.State != ledger.Done || j.Result.Hash != result.Hash) {
				err = errOver
			}
		}
		if err != nil {
			return err
		}
		a.log.Info("a job is done", "bytes", result.Size)
		a.foreman.metrics.jobs.WithLabelValues(string(ledger.Done)).Inc()
		return errors.Join(a.discardOutputs(ctx), a.foreman.clear(ctx, j))
	})
}

// finishFailed fails the job if its program or the submitter's quota is to blame,
// and else only says so.
func (a *activeJob) finishFailed(ctx context.Context, err error) error {
	_, over := errors.AsType[*quotaError](err)
	if !over && !program.IsFault(err) || ctx.Err() != nil {
		return err
	}
	if err := a.reward(ctx); err != nil {
		return err
	}
	_, updated := a.foreman.Ledger.UpdateJob(ctx, a.id, func(j *ledger.Job) error {
		j.State, j.Reason, j.Finished, j.Done = ledger.Failed, clip(err.Error(), 2000), clock(), a.assembly.Count()-a.assembly.Skipped()
		j.Kept, j.Skipped = a.stored.Load(), a.assembly.Skipped()
		return nil
	})
	if updated == nil {
		a.foreman.metrics.jobs.WithLabelValues(string(ledger.Failed)).Inc()
	}
	return updated
}

// storeResult writes the artefact by way of a file, because its hash and size
// come before its bytes.
func (a *activeJob) storeResult(ctx context.Context) (ledger.Blob, error) {
	if err := a.inQuota(a.stored.Load()); err != nil { // before anything is computed for it
		return ledger.Blob{}, err
	}
	f := scratch.New(a.foreman.Scratch)
	defer f.Close() //nolint:errcheck // nothing of it is needed
	h := sha256.New()
	if err := a.assembly.Write(ctx, io.MultiWriter(f, h)); err != nil {
		return ledger.Blob{}, err
	}
	a.stored.Store(max(a.stored.Load(), f.Size())) // for others of theirs who look meanwhile
	if err := a.inQuota(f.Size()); err != nil {
		return ledger.Blob{}, err
	}
	return a.foreman.Ledger.PutBlob(ctx, a.id+".result", f.Reader(), f.Size(), hex.EncodeToString(h.Sum(nil)))
}

// storeTries stores some failed tries.
func (a *activeJob) storeTries(ctx context.Context, as string, tries []dispatch.Failing) (ledger.Blob, error) {
	if len(tries) == 0 {
		return ledger.Blob{}, nil
	}
	data, err := json.Marshal(tries)
	if err != nil {
		return ledger.Blob{}, err
	}
	sum := sha256.Sum256(data)
	return a.foreman.Ledger.PutBlob(ctx, a.id+as, bytes.NewReader(data), int64(len(data)), hex.EncodeToString(sum[:]))
}

// believed are the voters of a record who are not in quarantine by now. Their
// answer is right, but theirs is not the word that it rests on.
func (f *Foreman) believed(r assemble.Record) []assemble.Voter {
	left := slices.DeleteFunc(slices.Clone(r.Voters), func(v assemble.Voter) bool {
		return f.Ledger.Reputation(v.ID).Standing == schedule.Quarantined
	})
	if len(left) == 0 && !r.Sure { // the job takes everybody's word
		return r.Voters
	}
	return left
}

// storeRecords stores who computed what.
func (a *activeJob) storeRecords(ctx context.Context) (records ledger.Chunks, bytes int64, err error) {
	w := a.foreman.Ledger.NewChunks(ctx, a.id+".records")
	for i := range a.tasks {
		r, ok, err := a.assembly.RecordOf(i)
		if err == nil && !ok {
			err = fmt.Errorf("the record of task %d is missing", i)
		}
		if err != nil {
			return records, 0, err
		}
		r.Voters = a.foreman.believed(r)
		data, err := cbor.Marshal(r)
		if err == nil {
			err = w.Add(data)
		}
		if err != nil {
			return records, 0, err
		}
		bytes += int64(len(data))
	}
	records, err = w.Close()
	return records, bytes, err
}
