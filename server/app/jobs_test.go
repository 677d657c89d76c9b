package app

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// A job goes from submission to its result, and the grid says who did what.
func TestJob(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("one\ntwo\nthree\n", "")
	if j.Tasks.Total != 3 || j.State != api.JobStateRunning || j.Policy != "trusted" {
		t.Fatalf("submitted: %+v", j)
	}
	ada := g.worker("Ada", 2)
	ada.leases(2)
	grace := g.worker("Grace", 1)
	for _, w := range []*worker{ada, grace, ada} {
		if a := w.echo(); a.Status != wire.Accepted {
			t.Errorf("an answer is %d: %s", a.Status, a.Reason)
		}
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Tasks.Done != 3 {
		t.Fatalf("ended: %+v", j)
	}
	status, header, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil)
	if status != http.StatusOK || string(result) != "one\ntwo\nthree\n" {
		t.Errorf("%d: %q", status, result)
	}
	g.checkCaching("/api/v1/jobs/"+j.ID+"/result", header.Get("ETag"))
	g.checkTasks(j.ID)
	g.until("the leaderboard to know Ada and Grace", func() bool { // credit follows the end of a job
		tasks := map[string]int64{}
		for _, s := range get[[]api.Standing](g, "/api/v1/leaderboard") {
			tasks[s.Name] = s.Tasks
		}
		return tasks["Ada"] == 2 && tasks["Grace"] == 1
	})
}

// Nothing of what must follow the end of a job is lost: not even when many end.
func TestCredit(t *testing.T) {
	const jobs = 50
	g := serve(t, t.TempDir(), nil)
	ada := g.worker("Ada", jobs)
	for range jobs {
		g.echoes("one\n", "")
		if a := ada.echo(); a.Status != wire.Accepted {
			t.Fatalf("%+v", a)
		}
	}
	g.until("credit for every job", func() bool {
		board := get[[]api.Standing](g, "/api/v1/leaderboard")
		return len(board) == 1 && board[0].Tasks == jobs
	})
}

// checkCaching asks for the same again, and for parts of it.
func (g *grid) checkCaching(path, etag string) {
	g.t.Helper()
	if status, _, body := g.request("GET", path, nil, "If-None-Match", etag); status != http.StatusNotModified || len(body) > 0 {
		g.t.Errorf("the same again: %d", status)
	}
	if status, _, body := g.request("GET", path, nil, "Range", "bytes=4-6"); status != http.StatusPartialContent || string(body) != "two" {
		g.t.Errorf("a part: %d, %q", status, body)
	}
	if status, _, _ := g.request("GET", path, nil, "Range", "bytes=100-"); status != http.StatusRequestedRangeNotSatisfiable {
		g.t.Errorf("a part past the end: %d", status)
	}
}

// checkTasks reads who did what in all three forms.
func (g *grid) checkTasks(id string) {
	g.t.Helper()
	path := "/api/v1/jobs/" + id + "/tasks"
	var names []string
	for page := (api.TaskPage{Next: "0"}); page.Next != ""; {
		page = get[api.TaskPage](g, path+"?limit=2&cursor="+page.Next)
		for _, task := range page.Tasks {
			names = append(names, task.Volunteers[0].Name)
			if task.Accepted.Before(task.Lent) || task.Lent.IsZero() || len(task.Hash) != 64 {
				g.t.Errorf("task %d: %+v", task.Task, task)
			}
		}
	}
	if want := []string{"Ada", "Ada", "Grace"}; !slices.Equal(names, want) {
		g.t.Errorf("who did what: %v", names)
	}
	_, header, lines := g.request("GET", path, nil, "Accept", "application/x-ndjson")
	if n := strings.Count(string(lines), "\n"); n != 3 || header.Get("Content-Type") != "application/x-ndjson" {
		g.t.Errorf("NDJSON: %d lines of %s", n, header.Get("Content-Type"))
	}
	_, _, table := g.request("GET", path, nil, "Accept", "text/csv")
	rows, err := csv.NewReader(strings.NewReader(string(table))).ReadAll()
	if err != nil || len(rows) != 4 || rows[3][2] != "Grace" {
		g.t.Errorf("CSV: %v, %v", rows, err)
	}
}

// Under strict:2 two volunteers must agree, and nobody votes twice. When they
// disagree the server's own sandbox decides, and the liar gets no more work.
func TestQuorum(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("liar", "Ada")
	j := g.echoes("right\n", "strict:2")
	liar, ada := g.worker("liar", 1), g.worker("Ada", 1)
	lease := ada.leases(1)[0]
	if a := ada.echo(); a.Status != wire.Pending {
		t.Errorf("one answer: %+v", a)
	}
	again := g.worker("Ada", 1) // the same volunteer on another connection
	if a := again.result(wire.Result{Lease: lease.ID, Output: []byte("wrong\n")}); a.Status != wire.Rejected {
		t.Errorf("a second vote: %+v", a)
	}
	if a := liar.result(wire.Result{Lease: lease.ID, Output: []byte("x")}); a.Status != wire.Rejected {
		t.Errorf("a lease of somebody else: %+v", a)
	}
	if a := liar.answer("wrong\n"); a.Status != wire.Pending {
		t.Errorf("the liar's answer: %+v", a)
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Fatalf("%+v", j)
	}
	if _, _, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil); string(result) != "right\n" {
		t.Errorf("the result is %q", result)
	}
	task := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks").Tasks[0]
	if len(task.Volunteers) != 1 || task.Volunteers[0].Name != "Ada" || task.Dissents != 1 {
		t.Errorf("whose word counted: %+v", task)
	}
	liar.sentAway()
	g.refusesWorker("liar", wire.CodeQuarantine)
}

// Pause, resume, cancel, fail, retry and delete, each only when it makes sense.
func TestLifecycle(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	act := func(id, action string, want int) {
		t.Helper()
		if status, _, body := g.request("POST", "/api/v1/jobs/"+id+"/"+action, nil); status != want {
			t.Errorf("%s: %d, %s", action, status, body)
		}
	}
	j := g.echoes("a\nb\nc\n", "")
	ada := g.worker("Ada", 1)
	ada.leases(1)
	act(j.ID, "pause", http.StatusOK)
	act(j.ID, "pause", http.StatusConflict)
	if a := ada.echo(); a.Status != wire.Accepted {
		t.Errorf("what was lent before the pause: %+v", a)
	}
	ada.send(wire.FromWorker{Credit: 4})
	g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done == 1 && j.State == api.JobStatePaused })
	if len(ada.held) > 0 {
		t.Error("a paused job lends")
	}
	act(j.ID, "resume", http.StatusOK)
	ada.leases(2)
	act(j.ID, "cancel", http.StatusOK)
	if a := ada.echo(); a.Status != wire.Late {
		t.Errorf("an answer to a cancelled job: %+v", a)
	}
	act(j.ID, "retry", http.StatusConflict)
	act(j.ID, "dance", http.StatusNotFound)
	if status, _, _ := g.request("DELETE", "/api/v1/jobs/"+j.ID, nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	if status, _, _ := g.request("GET", "/api/v1/jobs/"+j.ID, nil); status != http.StatusNotFound {
		t.Errorf("a deleted job: %d", status)
	}
}

// A program that fails with one volunteer is looked at by the server: where it
// fails too, the job ends at once with what the program wrote; a retry gives it
// another chance.
func TestFailure(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	failing := g.publish(wasmtest.Exit(3, "on stderr"))
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: failing, Input: api.Input{Text: "a\nb\n"}})
	g.worker("one", 1).fail()
	j = g.ended(j.ID)
	if j.State != api.JobStateFailed || !strings.Contains(j.Reason, "task 0 failed with the referee too: the program exited with code 3; it wrote: on stderr; its input: a") {
		t.Fatalf("%+v", j)
	}
	if status, _, _ := g.request("DELETE", "/api/v1/jobs/"+j.ID+"x", nil); status != http.StatusNotFound {
		t.Errorf("deleting another: %d", status)
	}
	if j = post[api.Job](g, "/api/v1/jobs/"+j.ID+"/retry", []byte{}); j.State != api.JobStateRunning {
		t.Fatalf("retried: %+v", j)
	}
	ada := g.worker("Ada", 2)
	ada.echo()
	ada.echo()
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("after the retry: %+v", j)
	}
}

// A server that is closed and started again goes on where it was, and leases
// that it signed before are good.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := g.echoes("a\nb\nc\n", "")
	ada := g.worker("Ada", 2)
	held := slices.Clone(ada.leases(2))
	ada.echo()
	closed := make(chan struct{})
	go func() { g.Close(context.Background()); close(closed) }()
	for !ada.receive().Drain {
	}
	_ = ada.conn.CloseNow()
	<-closed

	g = serve(t, dir, nil)
	if now := g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done == 1 }); now.State != api.JobStateRunning {
		t.Fatalf("after the restart: %+v", now)
	}
	ada = g.worker("Ada", 0)
	if a := ada.result(wire.Result{Lease: held[1].ID, Output: held[1].Input}); a.Status != wire.Accepted {
		t.Errorf("a lease of the server before: %+v", a)
	}
	ada.send(wire.FromWorker{Credit: 1})
	if a := ada.echo(); a.Status != wire.Accepted {
		t.Errorf("the last task: %+v", a)
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("ended: %+v", j)
	}
	if _, _, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil); string(result) != "a\nb\nc\n" {
		t.Errorf("the result is %q", result)
	}
}

// A viewer gets a snapshot first, only what is newer when they come back, and
// the end of the stream with the end of the job.
func TestEvents(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\nb\n", "")
	path := "/api/v1/jobs/" + j.ID + "/events"
	var first event
	for e := range g.events(path, "") {
		first = e
		break
	}
	if !strings.Contains(first.data, `"state":"running"`) || first.id == "" {
		t.Fatalf("the snapshot: %+v", first)
	}
	ada := g.worker("Ada", 2)
	ada.echo()
	ada.echo()
	var last event
	for e := range g.events(path, first.id) {
		if e.id <= first.id {
			t.Errorf("event %s came again after %s", e.id, first.id)
		}
		last = e
	}
	if !strings.Contains(last.data, `"state":"done"`) {
		t.Errorf("the stream ended with %+v", last)
	}
	if status, _, _ := g.request("GET", "/api/v1/jobs/none/events", nil); status != http.StatusNotFound {
		t.Errorf("the events of no job: %d", status)
	}
	for e := range g.events("/api/v1/grid/events", "") {
		var now api.Grid
		if err := json.Unmarshal([]byte(e.data), &now); err != nil {
			t.Fatal(err)
		}
		if now.Workers == 1 && now.Volunteers == 1 && now.Jobs == 0 && now.Reason == "no job is running" {
			break
		}
	}
}

// The same key and body give the same job; another body is refused.
func TestIdempotency(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	wanted := api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Text: "a\n"}}
	one := post[api.Job](g, "/api/v1/jobs", wanted, "Idempotency-Key", "k")
	two := post[api.Job](g, "/api/v1/jobs", wanted, "Idempotency-Key", "k")
	other := post[api.Job](g, "/api/v1/jobs", wanted, "Idempotency-Key", "l")
	if one.ID != two.ID || one.ID == other.ID {
		t.Errorf("%s, %s, %s", one.ID, two.ID, other.ID)
	}
	wanted.Title = "another"
	body, _ := json.Marshal(wanted)
	if status, _, answer := g.request("POST", "/api/v1/jobs", body, "Idempotency-Key", "k"); status != http.StatusUnprocessableEntity {
		t.Errorf("another body: %d, %s", status, answer)
	}
	if page := get[api.JobPage](g, "/api/v1/jobs"); len(page.Jobs) != 2 {
		t.Errorf("%d jobs", len(page.Jobs))
	}
}

// Requests with one key that come at the same time give one job, whose inputs
// are whole.
func TestIdempotencyAtOnce(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	wanted := api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Text: strings.Repeat("a line of text\n", 4000), Split: "bytes:30000"}}
	body, err := json.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	var ids [8]string
	var wait sync.WaitGroup
	for i := range ids {
		wait.Go(func() {
			status, _, answer := g.request("POST", "/api/v1/jobs", body, "Idempotency-Key", "k")
			var j api.Job
			if err := json.Unmarshal(answer, &j); err != nil || status != http.StatusCreated {
				t.Errorf("%d, %v: %s", status, err, answer)
			}
			ids[i] = j.ID
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("different jobs: %q", ids)
		}
	}
	w := g.worker("Ada", 2)
	w.leases(2)
	w.echo()
	w.echo()
	g.ended(ids[0])
	if _, _, got := g.request("GET", "/api/v1/jobs/"+ids[0]+"/result", nil); string(got) != wanted.Input.Text {
		t.Errorf("%d bytes came out of %d", len(got), len(wanted.Input.Text))
	}
}

// Lists come in pages, the newest first, and by state.
func TestLists(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	var ids []string
	for range 5 {
		ids = append(ids, g.echoes("a\n", "").ID)
	}
	slices.Reverse(ids)
	var got []string
	for cursor := ""; ; {
		page := get[api.JobPage](g, "/api/v1/jobs?limit=2&cursor="+cursor)
		for _, j := range page.Jobs {
			got = append(got, j.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("listed %v, made %v", got, ids)
	}
	g.request("POST", "/api/v1/jobs/"+ids[1]+"/cancel", nil)
	if page := get[api.JobPage](g, "/api/v1/jobs?state=cancelled"); len(page.Jobs) != 1 || page.Jobs[0].ID != ids[1] {
		t.Errorf("cancelled: %+v", page)
	}
	for _, query := range []string{"state=lost", "limit=0x", "limit=-1", "limit=9999"} {
		if status, _, body := g.request("GET", "/api/v1/jobs?"+query, nil); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
			t.Errorf("%s: %d, %s", query, status, body)
		}
	}
	if programs := get[[]api.Program](g, "/api/v1/programs"); len(programs) < 7 {
		t.Errorf("%d programs", len(programs))
	}
}

// Part of a result is to be had while the job runs, and the whole only then.
func TestPartial(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\nb\nc\n", "")
	path := "/api/v1/jobs/" + j.ID + "/result"
	ada := g.worker("Ada", 2)
	ada.leases(2)
	ada.echo()
	if status, _, body := g.request("GET", path, nil); status != http.StatusConflict || !strings.Contains(string(body), "partial=true") {
		t.Errorf("the result of a running job: %d, %s", status, body)
	}
	if status, _, body := g.request("GET", path+"?partial=1", nil); status != http.StatusOK || string(body) != "a\n" {
		t.Errorf("what there is: %d, %s", status, body)
	}
	if page := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks"); len(page.Tasks) != 1 || page.Next != "" {
		t.Errorf("tasks done so far: %+v", page)
	}
	if status, _, body := g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil); status != http.StatusOK {
		t.Errorf("cancel: %d, %s", status, body)
	}
	g.refuses("GET", path, nil, http.StatusConflict, "the job is cancelled: there is no result")
}

// A job may work on the inputs of another one, as they were cut for it. It has
// copies: the other one may go.
func TestSameInput(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	text := strings.Repeat("a line of text\n", 4000) // more than stands in the record itself
	wanted := api.NewJob{
		Program: g.publish(wasmtest.Echo()), Args: []string{"-v", "two words"},
		Collect: api.CollectNdjson, Input: api.Input{Text: text, Split: "bytes:30000"},
	}
	first := post[api.Job](g, "/api/v1/jobs", wanted)
	if !slices.Equal(first.Args, wanted.Args) || first.Collect != api.CollectNdjson || first.Split != "bytes:30000" {
		t.Errorf("what it was made of: %+v", first)
	}
	wanted.Input, wanted.Collect = api.Input{Job: first.ID}, ""
	if p := post[api.Preview](g, "/api/v1/jobs/preview", wanted); p.Tasks != 2 || p.Bytes != int64(len(text)) {
		t.Errorf("the preview: %+v", p)
	}
	second := post[api.Job](g, "/api/v1/jobs", wanted)
	if second.Tasks.Total != 2 || second.Split != "bytes:30000" {
		t.Errorf("the same input: %+v", second)
	}
	g.request("POST", "/api/v1/jobs/"+first.ID+"/cancel", nil)
	if status, _, body := g.request("DELETE", "/api/v1/jobs/"+first.ID, nil); status != http.StatusNoContent {
		t.Fatalf("delete the first: %d, %s", status, body)
	}
	ada := g.worker("Ada", 2)
	ada.echo()
	ada.echo()
	g.ended(second.ID)
	if _, _, got := g.request("GET", "/api/v1/jobs/"+second.ID+"/result", nil); string(got) != text {
		t.Errorf("%d bytes came out of %d", len(got), len(text))
	}
	body, _ := json.Marshal(wanted)
	g.refuses("POST", "/api/v1/jobs", body, http.StatusUnprocessableEntity, "there is no job")
	g.refuses("POST", "/api/v1/jobs/preview", body, http.StatusUnprocessableEntity, "there is no job")
}

// The other job may be of any program, also of one that makes its tasks itself.
func TestInputMadeElsewhere(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	made := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: "square", Params: []byte(`{"numbers":[1,2,3]}`)})
	if made.Split != "" || made.Args != nil || made.Collect != "" {
		t.Errorf("nothing to say of %+v", made)
	}
	echo := g.publish(wasmtest.Echo())
	for other := made.ID; ; { // and a copy of a copy
		j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: echo, Input: api.Input{Job: other}})
		if j.Tasks.Total != 3 || j.Split != "job" {
			t.Errorf("inputs of another program: %+v", j)
		}
		if other != made.ID {
			return
		}
		other = j.ID
	}
}

// To ask for what a program does anyway makes no other job of it.
func TestUsualCollect(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	usual := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: "sleeper"})
	same := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: "sleeper", Collect: usual.Collect})
	if usual.Collect != api.CollectJSON || same.Collect != usual.Collect || same.Media != usual.Media {
		t.Errorf("%+v and %+v", usual, same)
	}
}
