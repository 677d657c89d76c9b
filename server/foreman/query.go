package foreman

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"

	"potluck/server/assemble"
	"potluck/server/dispatch"
)

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
	case dispatch.WantProgress:
		return answer(dispatch.Encode(a.progress()), nil)
	case dispatch.WantTasks:
		return answer(a.records(q))
	case dispatch.WantPartial:
		assembly := a.assembly
		a.foreman.wait.Go(func() {
			var out bytes.Buffer
			err := assembly.Write(ctx, &out)
			if err := answer(out.Bytes(), err); err != nil {
				a.log.Warn("cannot answer", "error", err)
			}
		})
		return nil
	}
	return answer(nil, fmt.Errorf("no such question: %q", q.Want))
}

// records gives the records of done tasks as JSON: {"tasks":[…],"next":N}, where
// next is the task to go on from, -1 at the end.
func (a *activeJob) records(q dispatch.Query) ([]byte, error) {
	page := assemble.Page{Tasks: []assemble.Record{}, Next: -1}
	for i := max(0, q.From); i < a.record.Tasks; i++ {
		r, _, ok, err := a.assembly.Record(i)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if len(page.Tasks) == min(max(1, q.N), maxRecords) {
			page.Next = i
			break
		}
		page.Tasks = append(page.Tasks, r)
	}
	return json.Marshal(page)
}
