package foreman

import (
	"context"
	"errors"

	"github.com/fxamacker/cbor/v2"

	"potluck/server/assemble"
	"potluck/server/ledger"
)

// clear does what is left to do when a job has ended, and may be done again:
// credit is given, and the log of results goes. A log that is still there says
// that somebody was cut off before this.
func (f *Foreman) clear(ctx context.Context, j *ledger.Job) error {
	if j.State == ledger.Done {
		credit, err := f.credit(ctx, j)
		if err == nil {
			err = f.Ledger.PutTally(ctx, j.ID, credit)
		}
		if err != nil {
			return err
		}
	}
	return f.Ledger.DeleteResults(ctx, j)
}

// reward gives credit for what was accepted in a job that is not done.
func (a *activeJob) reward(ctx context.Context) error {
	t := ledger.Tally{Finished: clock()}
	for _, c := range a.assembly.Credits() {
		t.Credits = append(t.Credits, ledger.Credit(c))
	}
	if len(t.Credits) == 0 {
		return nil
	}
	return a.foreman.Ledger.PutTally(ctx, a.id, t)
}

// clearOld clears jobs that a server was cut off with.
func (f *Foreman) clearOld() {
	ended, err := f.Ledger.Sweep(f.ctx)
	for _, j := range ended {
		err = errors.Join(err, f.clear(f.ctx, j))
	}
	if err != nil && f.ctx.Err() == nil {
		f.Log.Warn("could not clear up after an earlier server", "error", err)
	}
}

// credit sums up what each volunteer has done in a job that is done.
func (f *Foreman) credit(ctx context.Context, j *ledger.Job) (ledger.Tally, error) {
	t := ledger.Tally{Finished: j.Finished}
	var tally assemble.Tally
	reader := f.Ledger.OpenChunks(j.Records)
	for i := range j.Tasks {
		data, err := reader.Get(ctx, i)
		if err != nil {
			return t, err
		}
		var r assemble.Record
		if err := cbor.Unmarshal(data, &r); err != nil {
			return t, err
		}
		tally.Add(r)
	}
	for _, c := range tally.Credits() {
		t.Credits = append(t.Credits, ledger.Credit(c))
	}
	return t, nil
}
