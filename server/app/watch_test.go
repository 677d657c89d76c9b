package app

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"potluck/server/api"
)

// seen sorts events by what they are of.
type seen struct {
	t    *testing.T
	jobs map[string]api.Job
	list api.List
	grid api.Grid
	last string // id
	n    int
}

func (s *seen) take(e event) {
	s.t.Helper()
	before, _ := strconv.ParseInt(s.last, 10, 64) // nonsense counts as none
	if now, err := strconv.ParseInt(e.id, 10, 64); now <= before || err != nil {
		s.t.Errorf("event %s came after %s", e.id, s.last)
	}
	s.last = e.id
	s.n++
	read := func(v any) {
		if err := json.Unmarshal([]byte(e.data), v); err != nil {
			s.t.Fatalf("%+v: %v", e, err)
		}
	}
	switch e.name {
	case "job":
		var j api.Job
		read(&j)
		s.jobs[j.ID] = j
	case "list":
		s.list = api.List{}
		read(&s.list)
	case "grid":
		s.grid = api.Grid{}
		read(&s.grid)
	default:
		s.t.Fatalf("what is %+v?", e)
	}
}

// watch reads a stream until done says so.
func (g *grid) watch(query, last string, done func(*seen) bool) *seen {
	g.t.Helper()
	s := &seen{t: g.t, jobs: map[string]api.Job{}, last: last}
	for e := range g.events("/api/v1/events?"+query, last) {
		if s.take(e); done(s) {
			return s
		}
	}
	g.t.Fatalf("the stream ended with %+v", s)
	return s
}

// watchAll reads a stream to its end.
func (g *grid) watchAll(query, last string, each func(*seen)) *seen {
	g.t.Helper()
	s := &seen{t: g.t, jobs: map[string]api.Job{}, last: last}
	for e := range g.events("/api/v1/events?"+query, last) {
		s.take(e)
		each(s)
	}
	return s
}

func ignore(*seen) {}

// One stream is enough for a page: jobs, the list of them and the grid.
func TestWatch(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	one, two := g.echoes("a\n", ""), g.echoes("b\n", "")
	query := "grid=true&list=true&job=" + one.ID + "&job=none&job=" + two.ID
	first := g.watch(query, "", func(s *seen) bool { return s.n == 4 })
	if len(first.jobs) != 2 || first.list != (api.List{Jobs: 2, Running: 2, Newest: two.ID}) {
		t.Fatalf("at first: %+v", first)
	}
	three := g.echoes("c\n", "")
	next := g.watch(query, first.last, func(s *seen) bool { return s.list.Jobs == 3 })
	if next.list.Newest != three.ID || len(next.jobs[three.ID].ID) > 0 {
		t.Errorf("after a new job: %+v", next)
	}
	ada := g.worker("Ada", 3)
	for range 3 {
		ada.echo()
	}
	final := func(s *seen) bool {
		return s.jobs[one.ID].State == api.JobStateDone && s.jobs[two.ID].State == api.JobStateDone
	}
	g.watch(query, first.last, func(s *seen) bool { return final(s) && s.list.Running == 0 && s.grid.Jobs == 0 })
	// Of jobs alone the stream ends with the last of them.
	jobs := "job=" + one.ID + "&job=" + two.ID
	if s := g.watchAll(jobs, first.last, ignore); !final(s) || s.n != 2 {
		t.Errorf("the end: %+v", s)
	}
	if status, _, _ := g.request("DELETE", "/api/v1/jobs/"+one.ID, nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	if s := g.watchAll(jobs, "", ignore); len(s.jobs) != 1 || s.jobs[two.ID].ID == "" {
		t.Errorf("after one was deleted: %+v", s)
	}
}

// A job that is deleted while it is watched is no reason to wait for it.
func TestWatchDeleted(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	gone, done := g.echoes("a\n", ""), g.echoes("b\n", "")
	g.request("POST", "/api/v1/jobs/"+gone.ID+"/cancel", nil)
	ada := g.worker("Ada", 1)
	deleted := false
	s := g.watchAll("job="+gone.ID+"&job="+done.ID, "", func(s *seen) {
		if !deleted && len(s.jobs) == 2 {
			g.request("DELETE", "/api/v1/jobs/"+gone.ID, nil)
			ada.echo()
			deleted = true
		}
	})
	if s.jobs[done.ID].State != api.JobStateDone {
		t.Errorf("%+v", s)
	}
}

// Somebody whose connection breaks all the time gets the end of the job all the
// same, and again from a server that was started anew.
func TestWatchInPieces(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := g.echoes(strings.Repeat("x\n", 20), "")
	ada := g.worker("Ada", 20)
	last := ""
	for done := 0; done < 20; {
		for range 4 {
			if len(ada.held) > 0 || done == 0 {
				ada.echo()
			}
		}
		s := g.watch("list=true&job="+j.ID, last, func(s *seen) bool { return s.jobs[j.ID].Tasks.Done > done })
		done, last = s.jobs[j.ID].Tasks.Done, s.last
	}
	_ = ada.conn.CloseNow()
	g.Close(t.Context())
	g = serve(t, dir, nil)
	if s := g.watchAll("job="+j.ID, last, ignore); s.jobs[j.ID].State != api.JobStateDone {
		t.Errorf("after a restart: %+v", s)
	}
}

// However many look on, all get the end, each on a stream of their own.
func TestManyViewers(t *testing.T) {
	const viewers = 500
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\n", "")
	ready, ends := make(chan bool, viewers), make(chan string, viewers)
	for i := range viewers {
		path := []string{"/api/v1/jobs/" + j.ID + "/events", "/api/v1/events?job=" + j.ID}[i%2]
		go func() {
			var last event
			for e := range g.events(path, "") {
				if last.id == "" {
					ready <- true
				}
				last = e
			}
			ends <- last.data
		}()
	}
	for range viewers {
		<-ready
	}
	g.worker("Ada", 1).echo()
	for range viewers {
		if end := <-ends; !strings.Contains(end, `"state":"done"`) {
			t.Fatalf("a stream ended with %s", end)
		}
	}
}

func TestBadWatching(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	many := strings.Repeat("&job=none", 201)
	for query, c := range map[string]struct {
		status int
		says   string
	}{
		"":                   {http.StatusUnprocessableEntity, "say what to watch"},
		"?grid=false":        {http.StatusUnprocessableEntity, "say what to watch"},
		"?grid=true" + many:  {http.StatusUnprocessableEntity, "at most 200 jobs, not for 201"},
		"?job=none":          {http.StatusNotFound, `job "none" is not known here`},
		"?job=none&job=some": {http.StatusNotFound, "is not known here"},
		"?job=":              {http.StatusNotFound, "is not known here"},
		"?grid=maybe":        {http.StatusBadRequest, "grid"},
	} {
		g.refuses("GET", "/api/v1/events"+query, nil, c.status, c.says)
	}
	// What is not there is left out.
	if s := g.watch("list=true"+many[:200*len("&job=none")], "nonsense", func(*seen) bool { return true }); s.list != (api.List{}) {
		t.Errorf("the list of no jobs: %+v", s.list)
	}
}

// Failures and wrong results of running jobs are news of the grid, the newest
// first, until the job ends.
func TestGridIncidents(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("Mal", "Eve", "Ada", "Bob")
	j := g.echoes("a\nb\n", "strict:2")
	g.worker("Mal", 1).cannotLoad()
	g.worker("Eve", 1).answer("wrong\n")
	ada, bob := g.worker("Ada", 2), g.worker("Bob", 2)
	ada.echoOf("a\n")
	all := g.watch("grid=true", "", func(s *seen) bool { return len(s.grid.Incidents) == 2 }).grid.Incidents
	if i := all[0]; i.By != "Eve" || i.Job != j.ID || i.Title != j.Title || i.Task != 0 || !strings.Contains(i.Reason, "not the right one") || i.At.Before(all[1].At) {
		t.Errorf("the wrong result: %+v", i)
	}
	if i := all[1]; i.By != "Mal" || i.Reason != "no room" {
		t.Errorf("the failure: %+v", i)
	}
	if f := get[api.Job](g, "/api/v1/jobs/"+j.ID).Failures; len(f) != 2 || f[1].By != "Eve" {
		t.Errorf("what went wrong in the job: %+v", f)
	}
	ada.echoOf("b\n")
	bob.echoOf("b\n")
	g.watch("grid=true", "", func(s *seen) bool { return s.grid.Jobs == 0 && len(s.grid.Incidents) == 0 })
	if all := get[[]api.Sample](g, "/api/v1/grid/history"); len(all) == 0 || all[len(all)-1].Workers < 3 { // Eve is sent away
		t.Errorf("the history: %+v", all)
	}
}
