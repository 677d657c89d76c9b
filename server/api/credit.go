package api

import (
	"context"
	"time"

	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// pending gives what volunteers have done in the jobs that still run. A job
// whose owner does not answer is left out.
func (a *API) pending(ctx context.Context) (all []ledger.Credit) {
	for _, id := range a.hub.begun() {
		credits, _ := a.credits.get(ctx, id, func(made[[]assemble.Credit]) made[[]assemble.Credit] { return a.askCredits(id) })
		for _, c := range credits {
			all = append(all, ledger.Credit(c))
		}
	}
	return all
}

// creditPatience is how long a job's owner may take.
const creditPatience = 2 * time.Second

func (a *API) askCredits(id string) (now made[[]assemble.Credit]) {
	ctx, cancel := context.WithTimeout(a.ctx, creditPatience)
	defer cancel()
	data, err := a.foremen.Query(ctx, id, dispatch.Query{Want: dispatch.WantCredits})
	if err == nil {
		err = dispatch.Decode(data, &now.value)
	}
	now.err, now.bytes = err, 64*len(now.value)
	return now
}
