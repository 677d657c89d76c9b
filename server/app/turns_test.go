package app

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
)

// staged publishes a program whose named stages never end, and whose others copy
// what they are given.
func (p *public) staged(token string, stages string, endless ...string) string {
	p.t.Helper()
	manifest := `{"contract":1,"name":"staged","title":"Staged","summary":"A test.","result":"text/plain","stages":[` + stages + `]`
	if !strings.Contains(stages, "split") {
		manifest += `,"split":"lines"`
	}
	return post[api.Module](p.grid, "/api/v1/modules", wasmtest.Staged(manifest+"}", endless...), with(token, "Content-Type", "application/wasm")...).ID
}

// soon is how long something may wait for turns that are taken by others: some of
// the first slices of what overruns, on a machine that others work on too.
const soon = 100 * time.Second

// A reduce that never ends is the trouble of its own job: with one executor,
// others submit, publish, preview and have their own reduced meanwhile, and in
// the end it fails its job.
func TestEndlessReduceHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	g := servePublic(t, func(c *Config) { c.Executors = 1 })
	mal, ada := g.submitter().Token, g.submitter().Token
	bad := g.staged(mal, `"map","reduce"`, "reduce")
	w := g.worker("Bob", 64)
	stuck := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: bad, Input: api.Input{Text: "a\nb\n"}, Policy: "trusted"}, with(mal)...)
	for range 2 {
		w.echo()
	}
	g.until("the reduce to be under way", func() bool { return g.pool.Busy() > 0 })
	began := time.Now()
	if status, _, body := g.request("POST", "/api/v1/jobs/preview", square, with(ada)...); status != http.StatusOK {
		t.Errorf("a preview: %d, %s", status, body)
	}
	good := g.staged(ada, `"map","reduce"`)
	j := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: good, Input: api.Input{Text: "a\nb\n"}, Policy: "trusted"}, with(ada)...)
	for range 2 {
		w.echo()
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("another's job: %+v", j)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("it took others %v", took)
	}
	if stuck = get[api.Job](g.grid, "/api/v1/jobs/"+stuck.ID); stuck.State != api.JobStateRunning {
		t.Errorf("the job that overruns, too soon: %+v", stuck)
	}
	g.request("POST", "/api/v1/jobs/"+stuck.ID+"/cancel", nil, with(mal)...)
}

// Nor does a split that never ends, whoever tries it and however often at once.
func TestEndlessSplitsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	g := servePublic(t, func(c *Config) { c.Executors = 1 })
	mal, ada := g.submitter().Token, g.submitter().Token
	bad := g.staged(mal, `"map","split"`, "split")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 4 {
		go func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/api/v1/jobs", strings.NewReader(`{"program":"`+bad+`"}`))
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+mal)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	g.until("the splits to be under way", func() bool { return g.pool.Busy() > 1 })
	began := time.Now()
	g.submit(ada)
	if took := time.Since(began); took > soon {
		t.Errorf("it took another %v", took)
	}
}
