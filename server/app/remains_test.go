package app

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
)

// What was accepted of a job that was cancelled can be had until it is deleted:
// together, task by task, and after a restart.
func TestOutputsOfCancelledJobCanBeHad(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := g.echoes("one\ntwo\nthree\n", "")
	ada := g.worker("Ada", 3)
	ada.leases(3)
	ada.echoOf("one\n")
	ada.echoOf("three\n")
	post[api.Job](g, "/api/v1/jobs/"+j.ID+"/cancel", nil)
	g.checkLeft(j.ID, api.JobStateCancelled, "one\nthree\n", map[int]string{0: "one\n", 2: "three\n"})
	g.Close(context.Background())
	g = serve(t, dir, nil)
	g.checkLeft(j.ID, api.JobStateCancelled, "one\nthree\n", map[int]string{0: "one\n", 2: "three\n"})
	if status, _, body := g.request("DELETE", "/api/v1/jobs/"+j.ID, nil); status != http.StatusNoContent {
		t.Fatalf("delete: %d: %s", status, body)
	}
	g.refuses("GET", "/api/v1/jobs/"+j.ID+"/tasks/0/output", nil, http.StatusNotFound, "not known here")
}

// A job that failed leaves what its other tasks gave; when it is tried again, that
// counts.
func TestOutputsOfFailedJobCanBeHad(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	picky := g.publish(wasmtest.Picky("oops"))
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: picky, Input: api.Input{Text: "one\noops\nthree\n"}, Policy: "trusted", Collect: "ndjson"})
	ada := g.worker("Ada", 9)
	ada.leases(3)
	ada.echoOf("one\n")
	ada.echoOf("three\n")
	ada.fail()
	if j = g.ended(j.ID); j.State != api.JobStateFailed || j.Tasks.Done != 2 {
		t.Fatalf("%+v", j)
	}
	status, _, body := g.request("GET", "/api/v1/jobs/"+j.ID+"/result?partial=true", nil)
	if status != http.StatusOK || strings.Count(string(body), "\n") != 2 || !strings.Contains(string(body), `"task":2`) || strings.Contains(string(body), "oops") {
		t.Errorf("what there is: %d: %s", status, body)
	}
	g.checkDone(j.ID, 1, 0, 1)
	if j = post[api.Job](g, "/api/v1/jobs/"+j.ID+"/retry", nil); j.State != api.JobStateRunning {
		t.Fatalf("retried: %+v", j)
	}
	ada.echoOf("oops\n")
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Tasks.Done != 3 {
		t.Errorf("after the retry: %+v", j)
	}
	g.refuses("GET", "/api/v1/jobs/"+j.ID+"/tasks/0/output", nil, http.StatusConflict, "in its result")
}

// A preview says that the first line is one that the program fails at, like a
// header, though a line from the middle is none.
func TestPreviewTriesTheFirstTaskToo(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	picky := g.publish(wasmtest.Picky("oops"))
	p := post[api.Preview](g, "/api/v1/jobs/preview", api.NewJob{Program: picky, Input: api.Input{Text: "oops,b\n1,2\n3,4\n"}})
	if !strings.Contains(p.Failure, "the first task") || !strings.Contains(p.Failure, "what is oops?") || !p.Complete {
		t.Errorf("%+v", p)
	}
	p = post[api.Preview](g, "/api/v1/jobs/preview", api.NewJob{Program: picky, Input: api.Input{Text: "1\n1,2\n3,4\n"}})
	if p.Failure != "" {
		t.Errorf("%+v", p)
	}
}

// checkLeft looks at what is left of a job that is not done.
func (g *grid) checkLeft(id string, state api.JobState, all string, outputs map[int]string) {
	g.t.Helper()
	path := "/api/v1/jobs/" + id
	var j api.Job
	g.until("the job to say what is left", func() bool { j = get[api.Job](g, path); return j.Tasks.Done == len(outputs) })
	if j.State != state {
		g.t.Errorf("the job: %+v", j)
	}
	g.refuses("GET", path+"/result", nil, http.StatusConflict, "partial=true")
	status, header, body := g.request("GET", path+"/result?partial=true", nil)
	if status != http.StatusOK || string(body) != all || header.Get("ETag") == "" {
		g.t.Errorf("what there is: %d: %q", status, body)
	}
	tasks := get[api.TaskPage](g, path+"/tasks").Tasks
	if len(tasks) != len(outputs) {
		g.t.Errorf("tasks that are done: %+v", tasks)
	}
	for i := range j.Tasks.Total {
		path := path + "/tasks/" + string(rune('0'+i))
		want, done := outputs[i]
		if !done {
			g.refuses("GET", path+"/output", nil, http.StatusConflict, "not done")
			g.refuses("GET", path+"/receipt", nil, http.StatusConflict, "not done")
			continue
		}
		status, header, body := g.request("GET", path+"/output", nil)
		if status != http.StatusOK || string(body) != want || header.Get("Content-Type") != "application/octet-stream" {
			g.t.Errorf("task %d: %d: %q", i, status, body)
		}
		if receipt := get[api.Receipt](g, path+"/receipt"); receipt.Output.Bytes != len(want) {
			g.t.Errorf("the receipt of task %d: %+v", i, receipt)
		}
	}
	g.refuses("GET", path+"/tasks/3/output", nil, http.StatusNotFound, "no task 3")
}

// checkDone compares how many tasks of each tile are done.
func (g *grid) checkDone(id string, done ...int) {
	g.t.Helper()
	tiles := get[api.Tiles](g, "/api/v1/jobs/"+id+"/tiles")
	for i := range done {
		if tiles.Size != 1 || len(tiles.Done) != len(done) || tiles.Done[i] != done[i] {
			g.t.Fatalf("tiles: %+v", tiles)
		}
	}
}

// With skip, a task that the program fails at is left out of the result, and the
// job says which and why; after a restart too.
func TestSkippedTasksAreMissingAndSaid(t *testing.T) {
	for _, policy := range []string{"trusted", "strict:2"} {
		t.Run(policy, func(t *testing.T) {
			dir := t.TempDir()
			g := serve(t, dir, nil)
			picky := g.publish(wasmtest.Picky("oops"))
			j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: picky, Input: api.Input{Text: "one\noops\nthree\n"}, Policy: policy, OnError: api.OnErrorSkip})
			ada := g.worker("Ada", 9)
			ada.failAt("oops\n")
			j = g.await(j.ID, func(j api.Job) bool { return j.Tasks.Skipped == 1 })
			checkSkipped(t, j)
			_ = ada.conn.CloseNow()
			g.Close(context.Background())
			g = serve(t, dir, nil)
			j = g.await(j.ID, func(j api.Job) bool { return j.Tasks.Skipped == 1 })
			checkSkipped(t, j)
			ada = g.worker("Ada", 9) // under strict:2 the referee confirms what she says
			ada.echoOf("one\n")
			ada.echoOf("three\n")
			j = g.ended(j.ID)
			if j.State != api.JobStateDone || j.Tasks.Done != 2 || j.OnError != api.OnErrorSkip {
				t.Fatalf("%+v", j)
			}
			checkSkipped(t, j)
			if _, _, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil); string(result) != "one\nthree\n" {
				t.Errorf("the result is %q", result)
			}
			tasks := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks").Tasks
			if len(tasks) != 3 || tasks[1].State != api.TaskStateSkipped || !strings.Contains(tasks[1].Reason, "what is oops?") || tasks[2].State != api.TaskStateDone {
				t.Errorf("tasks: %+v", tasks)
			}
			g.refuses("GET", "/api/v1/jobs/"+j.ID+"/tasks/1/receipt", nil, http.StatusConflict, "was skipped")
		})
	}
}

func checkSkipped(t *testing.T, j api.Job) {
	t.Helper()
	if len(j.Skipped) != 1 || j.Tasks.Skipped != 1 || j.Skipped[0].Task != 1 || !strings.Contains(j.Skipped[0].Reason, "what is oops?") {
		t.Errorf("what is said to be missing: %+v, %+v", j.Tasks, j.Skipped)
	}
}

// A job all of whose tasks are skipped has no result: it fails and says why, and a
// retry tries all of them again.
func TestAllTasksSkippedFailTheJob(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{
		Program: g.publish(wasmtest.Exit(3, "no luck")), Input: api.Input{Text: "a\nb\n"}, Policy: "trusted", OnError: api.OnErrorSkip,
	})
	ada := g.worker("Ada", 9)
	ada.failAt("a\n")
	ada.failAt("b\n")
	if j = g.ended(j.ID); j.State != api.JobStateFailed || !strings.Contains(j.Reason, "every task failed and was skipped") || !strings.Contains(j.Reason, "no luck") {
		t.Fatalf("%+v", j)
	}
	post[api.Job](g, "/api/v1/jobs/"+j.ID+"/retry", nil)
	ada.echoOf("a\n")
	ada.echoOf("b\n")
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Tasks.Done != 2 || j.Tasks.Skipped != 0 {
		t.Errorf("after the retry: %+v", j)
	}
	g.refuses("POST", "/api/v1/jobs", []byte(`{"program":"square","on_error":"ignore"}`), http.StatusUnprocessableEntity, "fail or skip", "Content-Type", "application/json")
}

// A reduce that fails takes no part away: each can be had, a retry runs the stage
// again, and whoever computed the tasks has credit for them.
func TestFailedStageLeavesThePartsAndIsTriedAgain(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := post[api.Job](g, "/api/v1/jobs", []byte(`{"program":"square","params":{"numbers":[3,4]},"policy":"trusted"}`), "Content-Type", "application/json")
	ada := g.worker("Ada", 2)
	ada.leases(2)
	for _, part := range []string{"[9]", "rotten"} {
		ada.answer(part)
	}
	failed := func() {
		t.Helper()
		if j = g.ended(j.ID); j.State != api.JobStateFailed || j.Tasks.Done != 2 || !strings.Contains(j.Reason, "the reduce stage failed") {
			t.Fatalf("%+v", j)
		}
		if status, _, part := g.request("GET", "/api/v1/jobs/"+j.ID+"/tasks/0/output", nil); status != http.StatusOK || string(part) != "[9]" {
			t.Errorf("a part: %d: %s", status, part)
		}
		g.refuses("GET", "/api/v1/jobs/"+j.ID+"/result?partial=true", nil, http.StatusConflict, "the reduce stage failed")
		if board := get[[]api.Standing](g, "/api/v1/leaderboard"); len(board) != 1 || board[0].Tasks != 2 {
			t.Errorf("credit: %+v", board)
		}
	}
	failed()
	_ = ada.conn.CloseNow()
	g.Close(context.Background())
	g = serve(t, dir, func(c *Config) { c.StageMemory = 2 * c.TaskMemory })
	if j = post[api.Job](g, "/api/v1/jobs/"+j.ID+"/retry", []byte{}); j.State != api.JobStateRunning {
		t.Fatalf("retried: %+v", j)
	}
	failed()
}
