package foreman

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/schedule"
)

// outputs are those that workers send ahead of the results that name them, because
// they are too large for a message. A lease has one, and equal ones are stored
// once. What no lease has any more goes, unless a result with it was accepted.
type outputs struct {
	of        map[holder]sum // zero if the lease's output has gone; each stands once in turns
	all       map[sum]*output
	kept      map[sum]bool // of accepted results: they go with the job
	turns     []holder     // in which leases are looked at
	has       map[schedule.Volunteer]int64
	strangers int64 // bytes of those who are neither trusted nor established
	ever      bool  // there may be some in the store
}

// A sum is a SHA-256.
type sum [32]byte

// A holder is a lease, whichever of the volunteer's workers has it.
type holder struct {
	task      uint32
	volunteer schedule.Volunteer
}

// An output counts to the volunteer who sent it first, and to the job until a
// result with it is accepted.
type output struct {
	bytes    int64
	payer    schedule.Volunteer
	stranger bool
	holders  int
	since    time.Time
}

func newOutputs() outputs {
	return outputs{of: map[holder]sum{}, all: map[sum]*output{}, kept: map[sum]bool{}, has: map[schedule.Volunteer]int64{}}
}

const (
	// eachOutputs bounds what a volunteer has stored for a job beside what was
	// accepted, in outputs as large as they may be.
	eachOutputs = 16
	// strangersOutputs bounds likewise what those have together who are neither
	// trusted nor established, so that the others always have room.
	strangersOutputs = 32
	// lateTime is how long an output stays whose lease has lapsed: its result still
	// counts if it comes first.
	lateTime = time.Minute
	// sweptAtOnce is how many leases a tick looks at.
	sweptAtOnce = 64
)

// put notes the output of a lease and gives the one that it had, if nobody has that
// any more. ok is false if there is no room for it.
func (o *outputs) put(h holder, hash sum, n int64, stranger bool, most int64) (gone []sum, ok bool) {
	if o.of[h] == hash {
		return nil, true
	}
	out := o.all[hash]
	if out == nil && !o.kept[hash] {
		if o.has[h.volunteer]+n > eachOutputs*most || stranger && o.strangers+n > strangersOutputs*most {
			return nil, false
		}
		out = &output{bytes: n, payer: h.volunteer, stranger: stranger, since: time.Now()}
		o.all[hash] = out
		o.count(out, 1)
	}
	if _, queued := o.of[h]; queued {
		gone = o.release(h)
	} else {
		o.turns = append(o.turns, h)
	}
	o.of[h], o.ever = hash, true
	if out != nil {
		out.holders++
	}
	return gone, true
}

func (o *outputs) count(out *output, sign int64) {
	if o.has[out.payer] += sign * out.bytes; o.has[out.payer] == 0 {
		delete(o.has, out.payer)
	}
	if out.stranger {
		o.strangers += sign * out.bytes
	}
}

// release takes the output of a lease and gives it if nobody has it any more.
func (o *outputs) release(h holder) (gone []sum) {
	hash, had := o.of[h]
	if !had {
		return nil
	}
	o.of[h] = sum{}
	out := o.all[hash]
	if out == nil {
		return nil
	}
	if out.holders--; out.holders > 0 {
		return nil
	}
	delete(o.all, hash)
	o.count(out, -1)
	return []sum{hash}
}

// keep notes that a result with an output was accepted: it is the job's now.
func (o *outputs) keep(hash sum) {
	o.kept[hash], o.ever = true, true
	if out := o.all[hash]; out != nil {
		delete(o.all, hash)
		o.count(out, -1)
	}
}

// deposit says whether a worker may send the output of a lease. It is asked again
// when the output was sent: by then the lease may have ended.
func (a *activeJob) deposit(ctx context.Context, m *nats.Msg) error {
	var d dispatch.Deposit
	if err := dispatch.Decode(m.Data, &d); err != nil {
		return err
	}
	if len(d.Hash) != len(sum{}) {
		return fmt.Errorf("an output with a hash of %d bytes", len(d.Hash))
	}
	var said dispatch.Deposited
	v, known := a.people.numbers[d.Person.ID]
	h, hash := holder{d.Task, v}, sum(d.Hash)
	if known && !a.ending && a.holds(h) { // else all of them go, or are gone
		gone, ok := a.outputs.put(h, hash, d.Bytes, a.isStranger(v), int64(a.foreman.TaskOutput))
		a.discard(ctx, gone)
		said.Full = !ok
	} else {
		said.Ended = true
		if d.Stored && a.outputs.all[hash] == nil && !a.outputs.kept[hash] {
			a.discard(ctx, []sum{hash})
		}
	}
	return m.Respond(dispatch.Encode(said))
}

// isStranger says whether a volunteer is neither trusted nor established.
func (a *activeJob) isStranger(v schedule.Volunteer) bool {
	return !a.people.all[v].Trusted && a.job.Reputation(v).Standing != schedule.Established
}

// holds says whether a lease may have an output: it is being computed, waits for
// others' results, or has lapsed and may be answered late.
func (a *activeJob) holds(h holder) bool {
	state, ok := a.job.ShareOf(h.task, h.volunteer)
	return ok && state != schedule.Failed
}

// sweep discards the outputs of leases that have ended. It looks at some of them.
func (a *activeJob) sweep(ctx context.Context) {
	o := &a.outputs
	for range min(len(o.turns), sweptAtOnce) {
		h := o.turns[0]
		o.turns = o.turns[1:]
		state, ok := a.job.ShareOf(h.task, h.volunteer)
		out := o.all[o.of[h]]
		switch {
		case out == nil: // it is the job's
			delete(o.of, h)
		case ok && (state == schedule.Computing || state == schedule.Answered || state == schedule.Lapsed && time.Since(out.since) < lateTime):
			o.turns = append(o.turns, h)
		default:
			a.discard(ctx, o.release(h))
			delete(o.of, h)
		}
	}
}

// discard deletes outputs. What cannot be deleted goes with the job.
func (a *activeJob) discard(ctx context.Context, gone []sum) {
	for _, hash := range gone {
		if err := a.foreman.Ledger.DeleteObject(ctx, ledger.OutputObject(a.id, hash[:])); err != nil {
			a.log.Warn("an output that nobody needs could not be deleted", "error", err)
		}
	}
}

// discardOutputs deletes all outputs of the job, when it needs none of them any
// more.
func (a *activeJob) discardOutputs(ctx context.Context) error {
	if !a.outputs.ever {
		return nil
	}
	return a.foreman.Ledger.Discard(ctx, ledger.OutputPrefix(a.id))
}
