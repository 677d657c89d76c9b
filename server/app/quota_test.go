package app

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// Results count to their submitter: a job whose results would be too many fails
// and says so, others of theirs have no room either, and when some is made it goes
// on from where it was. Admins have no such bound.
func TestResultsCountToTheSubmitter(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.SubmitterBytes = 3_000_000 })
	s := g.submitter().Token
	program := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), with(s, "Content-Type", "application/wasm")...).ID
	job := func(token string) api.Job {
		return post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: program, Input: api.Input{Split: "range:1:10"}, Policy: "trusted"}, with(token)...)
	}
	ada := g.worker("Ada", 1000)
	answer := func(id string) api.Job {
		for {
			var j api.Job
			for _, l := range ada.held {
				if a := ada.result(wire.Result{Lease: l.ID, Output: bytes.Repeat([]byte("result "), 30_000)}); a.Status == wire.Rejected {
					t.Errorf("%+v", a)
				}
			}
			if j = get[api.Job](g.grid, "/api/v1/jobs/"+id); j.State != api.JobStateRunning {
				return j
			}
			if j.Tasks.Done < j.Tasks.Total && j.Tasks.Lent > 0 {
				ada.receive()
			}
		}
	}
	first := answer(job(s).ID)
	if first.State != api.JobStateDone || first.Bytes != 2_100_000 {
		t.Fatalf("the first job: %+v", first)
	}
	second := answer(job(s).ID)
	if second.State != api.JobStateFailed || !strings.Contains(second.Reason, "delete jobs that have ended") {
		t.Fatalf("the second job: %+v", second)
	}
	g.refuses("POST", "/api/v1/inputs", make([]byte, 1_500_000), http.StatusRequestEntityTooLarge, "3000000 bytes", with(s)...)
	if j := answer(job(g.admin).ID); j.State != api.JobStateDone {
		t.Errorf("an admin's job: %+v", j)
	}
	g.request("DELETE", "/api/v1/jobs/"+first.ID, nil, with(s)...)
	post[api.Job](g.grid, "/api/v1/jobs/"+second.ID+"/retry", nil, with(s)...)
	if second = answer(second.ID); second.State != api.JobStateDone || second.Bytes != 2_100_000 {
		t.Errorf("when there is room: %+v", second)
	}
}

// Strangers share one bound, so the results of one do not fail the job of another:
// it waits, says why, and goes on when there is room.
func TestStrangersResultsFailNobodysJob(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.SubmitterBytes = 3_000_000 })
	program := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), with(g.admin, "Content-Type", "application/wasm")...).ID
	if status, _, body := g.request("PUT", "/api/v1/approvals/"+program, nil, with(g.admin)...); status >= 300 {
		t.Fatalf("approve: %d, %s", status, body)
	}
	job := func(address string) api.Job {
		return post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: program, Input: api.Input{Split: "range:1:10"}, Policy: "trusted"}, "X-Forwarded-For", address)
	}
	ada := g.worker("Ada", 1000)
	answer := func(id string, until func(api.Job) bool) api.Job {
		for {
			for _, l := range ada.held {
				ada.result(wire.Result{Lease: l.ID, Output: bytes.Repeat([]byte("result "), 30_000)})
			}
			if j := get[api.Job](g.grid, "/api/v1/jobs/"+id); until(j) {
				return j
			} else if j.Tasks.Done < j.Tasks.Total && j.Tasks.Lent > 0 {
				ada.receive()
			}
		}
	}
	done := func(j api.Job) bool { return j.State != api.JobStateRunning }
	first := answer(job("203.0.113.7").ID, done)
	second := job("203.0.113.8")
	answer(second.ID, func(j api.Job) bool {
		return done(j) || strings.Contains(j.Reason, "all jobs without a token together")
	})
	g.request("DELETE", "/api/v1/jobs/"+first.ID, nil, with(g.admin)...)
	if j := answer(second.ID, done); first.State != api.JobStateDone || j.State != api.JobStateDone || j.Bytes != 2_100_000 {
		t.Errorf("%+v after %+v", j, first)
	}
}

// An artefact that its submitter has no room for fails the job, also where all
// results before it were too few to be counted.
func TestAnArtefactOverTheQuotaFailsItsJob(t *testing.T) {
	g := servePublic(t, func(c *Config) { c.SubmitterBytes = 800_000 })
	s := g.submitter().Token
	program := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), with(s, "Content-Type", "application/wasm")...).ID
	j := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: program, Input: api.Input{Split: "range:1:4"}, Policy: "trusted"}, with(s)...)
	ada := g.worker("Ada", 4)
	for _, l := range ada.leases(4) {
		ada.result(wire.Result{Lease: l.ID, Output: bytes.Repeat([]byte("result "), 30_000)})
	}
	g.await(j.ID, func(j api.Job) bool {
		return j.State == api.JobStateFailed && strings.Contains(j.Reason, "delete jobs that have ended")
	})
}
