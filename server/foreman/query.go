package foreman

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/program"
	"potluck/server/schedule"
)

// partialTime is how long making a picture of what there is so far may take:
// whoever asked waits no longer.
const partialTime = time.Minute

// maxRecords is how many records one query gives.
const maxRecords = 1000

// query answers what only the owner of a job knows. Making a picture of what
// there is so far takes time and goes on in the background.
func (a *activeJob) query(ctx context.Context, m *nats.Msg) error {
	var q dispatch.Query
	if err := dispatch.Decode(m.Data, &q); err != nil {
		return err
	}
	answer := func(data []byte, err error) error {
		return dispatch.AnswerQuery(a.foreman.Ledger.Conn(), m.Reply, data, err)
	}
	switch q.Want {
	case dispatch.WantOutput:
		return answer(outputOf(a.assembly, q.From))
	case dispatch.WantProgress:
		return answer(dispatch.Encode(a.progress()), nil)
	case dispatch.WantTasks:
		page, done := pageOf(a.assembly, a.tasks, q, a.open)
		assembly := a.assembly
		a.foreman.wait.Go(func() { // the records are on disk
			if err := answer(withRecords(assembly, page, done)); err != nil {
				a.log.Warn("cannot answer", "error", err)
			}
		})
		return nil
	case dispatch.WantTiles:
		return answer(dispatch.Encode(a.tiles(q)), nil)
	case dispatch.WantCredits:
		return answer(dispatch.Encode(a.assembly.Credits()), nil)
	case dispatch.WantPartial:
		assembly := a.assembly
		a.foreman.metrics.partials.Inc()
		a.foreman.wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, partialTime)
			defer cancel()
			var out bytes.Buffer
			err := fault(assembly.Write(ctx, &out))
			switch {
			case errors.Is(ctx.Err(), context.DeadlineExceeded):
				err = &dispatch.Fault{Words: fmt.Sprintf("what there is so far could not be put together in %v; the outputs of tasks can be had one by one", partialTime)}
			case ctx.Err() != nil:
				err = dispatch.ErrNobody // the job has ended, or goes on elsewhere
			}
			if err := answer(out.Bytes(), err); err != nil {
				a.log.Warn("cannot answer", "error", err)
			}
		})
		return nil
	}
	return answer(nil, fmt.Errorf("no such question: %q", q.Want))
}

// outputOf gives the output of a task.
func outputOf(from *assemble.Assembly, task int) ([]byte, error) {
	r, output, ok, err := from.Record(task)
	if err == nil && (!ok || r.Skipped != "") {
		err = dispatch.ErrNoOutput
	}
	return output, err
}

// fault says of an error of a stage that it is the program's, if it is.
func fault(err error) error {
	if program.IsFault(err) {
		return &dispatch.Fault{Words: err.Error()}
	}
	return err
}

// pageOf gives a page of tasks, of those that are done the numbers only. It looks at
// no more of them than the page has, however many there are: nothing is lent
// meanwhile.
func pageOf(from *assemble.Assembly, tasks int, q dispatch.Query, open func(task int) dispatch.Open) (page dispatch.Tasks, done []int) {
	page.Next = -1
	for i := max(0, q.From); i < tasks; i++ {
		if !q.Open {
			if i = from.Next(i); i < 0 {
				break
			}
		}
		if len(done)+len(page.Open) == min(max(1, q.N), maxRecords) {
			page.Next = i
			break
		}
		if from.Has(i) {
			done = append(done, i)
		} else {
			page.Open = append(page.Open, open(i))
		}
	}
	return page, done
}

// withRecords adds the records of tasks that are done to a page.
func withRecords(assembly *assemble.Assembly, page dispatch.Tasks, done []int) ([]byte, error) {
	for _, i := range done {
		r, ok, err := assembly.RecordOf(i)
		if err != nil {
			return nil, err
		}
		if ok { // else it was taken back just now
			page.Done = append(page.Done, r)
		}
	}
	return dispatch.Encode(page), nil
}

// open says who has to do with a task that is not done.
func (a *activeJob) open(task int) dispatch.Open {
	o := dispatch.Open{Task: task, State: dispatch.Waiting}
	if a.job.Accepted(uint32(task)) {
		o.State = dispatch.Voting // its result is on its way to the disk
	}
	for _, s := range a.job.Shares(uint32(task)) {
		o.Tries++
		if lent := s.Lent / 1000; lent > 0 && (o.Lent == 0 || lent < o.Lent) {
			o.Lent = lent
		}
		share := dispatch.Share{Person: a.people.all[s.Volunteer], Millis: int64(s.Millis)}
		switch s.State {
		case schedule.Computing:
			share.State, o.State = dispatch.Computing, dispatch.Computing
		case schedule.Answered:
			share.State = dispatch.Answered
			if o.State == dispatch.Waiting {
				o.State = dispatch.Voting
			}
		case schedule.Failed:
			share.State = dispatch.Failed
		case schedule.Lapsed:
			continue // they have nothing to do with it any more
		}
		o.Shares = append(o.Shares, share)
	}
	return o
}

// maxTiles is how many tiles one query gives.
const maxTiles = 1 << 16

// tiles gives the states of all tasks.
func (a *activeJob) tiles(q dispatch.Query) dispatch.Tiles {
	n := min(max(1, q.N), maxTiles)
	t := dispatch.Tiles{Size: (a.tasks + n - 1) / n}
	for _, tile := range a.job.Tiles(t.Size) {
		t.Done, t.Lent = append(t.Done, tile.Done), append(t.Lent, tile.Lent)
		t.Voting, t.Failed = append(t.Voting, tile.Voting), append(t.Failed, tile.Failed)
	}
	return t
}
