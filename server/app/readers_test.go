package app

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// Many who list the tasks of a large job, of which the last is done, get it at
// once, and the job lends and accepts meanwhile.
func TestReadersDoNotStopALargeJob(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	const tasks = 500_000
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Split: "range:1:500000"}, Policy: "trusted"})
	w := g.worker("Ada", 2*tasks)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	for _, query := range []string{"", "?all=true&limit=1000", "?all=true&cursor=499000"} {
		for range 8 {
			readers.Go(func() {
				for ctx.Err() == nil {
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+"/api/v1/jobs/"+j.ID+"/tasks"+query, nil)
					if err != nil {
						return
					}
					if resp, err := http.DefaultClient.Do(req); err == nil {
						_ = json.NewDecoder(resp.Body).Decode(&api.TaskPage{}) // it may be cut off
						_ = resp.Body.Close()
					}
				}
			})
		}
	}
	done := 0
	for range 50 {
		if a := w.echo(); a.Status != wire.Accepted {
			t.Fatalf("%+v", a)
		}
		done++
	}
	page := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks?limit=1000")
	if len(page.Tasks) != done || page.Next != "" {
		t.Errorf("%d tasks are listed as done, and then %q", len(page.Tasks), page.Next)
	}
	all := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks?all=true&limit=1000")
	if len(all.Tasks) != 1000 || all.Next != "1000" {
		t.Errorf("%d tasks are listed, and then %q", len(all.Tasks), all.Next)
	}
	stop()
	readers.Wait()
	g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil)
}
