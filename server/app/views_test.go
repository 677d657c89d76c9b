package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// metric reads one of the server's metrics.
func (g *grid) metric(name string) float64 {
	g.t.Helper()
	_, _, text := g.request("GET", "/metrics", nil)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				g.t.Fatal(err)
			}
			return v
		}
	}
	g.t.Fatalf("there is no metric %s", name)
	return 0
}

// Jobs are found by a part of their title, program or id, in whatever case.
func TestSearch(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	submit := func(job api.NewJob) string { return post[api.Job](g, "/api/v1/jobs", job).ID }
	square := submit(api.NewJob{Program: "square", Title: "Äpfel und Birnen"})
	plain := submit(api.NewJob{Program: g.publish(wasmtest.Echo()), Title: "Big Ones", Input: api.Input{Text: "a\n"}})
	for query, want := range map[string][]string{
		"q=%C3%A4PFEL":           {square},
		"q=SQUA":                 {square},
		"q=n":                    {plain, square},
		"q=N&state=running":      {plain, square},
		"q=n&state=done":         {},
		"q=" + plain:             {plain},
		"q=n&limit=1":            {plain},
		"q=birnen&cursor=zzzzzz": {square},
		"q=pears":                {},
		"q=":                     {plain, square},
	} {
		got := []string{}
		for _, j := range get[api.JobPage](g, "/api/v1/jobs?"+query).Jobs {
			got = append(got, j.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s finds %v instead of %v", query, got, want)
		}
	}
	g.refuses("GET", "/api/v1/jobs?q="+strings.Repeat("x", 121), nil, http.StatusUnprocessableEntity, "q has more than 120 characters")
}

// A module's id is enough to know what it is: of one's own that describes
// itself, of a plain one, and of a built-in one.
func TestModuleInfo(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	for _, module := range [][]byte{
		wasmtest.Echo(), wasmtest.Say(`{"contract":1,"name":"mine","title":"Mine","result":"text/plain","stages":["map","split"]}`),
	} {
		want := post[api.Module](g, "/api/v1/modules", module, "Content-Type", "application/wasm")
		if got := get[api.Module](g, "/api/v1/modules/"+want.ID+"/info"); !reflect.DeepEqual(got, want) || want.Plain != (got.Program.Name == "") {
			t.Errorf("%+v instead of %+v", got, want)
		}
	}
	for _, want := range get[[]api.Program](g, "/api/v1/programs") {
		got := get[api.Module](g, "/api/v1/modules/"+want.ID+"/info")
		_, _, bytes := g.request("GET", "/api/v1/modules/"+want.ID, nil)
		if !reflect.DeepEqual(got.Program, want) || got.Plain || got.Bytes != len(bytes) {
			t.Errorf("%+v of %+v", got, want)
		}
	}
}

// A preview says how many tasks there would be and how the one in the middle
// does, and leaves no job.
func TestPreview(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.TaskTime = time.Second })
	echo, exit := g.publish(wasmtest.Echo()), g.publish(wasmtest.Exit(7, "no luck"))
	upload := post[api.Upload](g, "/api/v1/inputs", bytes.Repeat([]byte("0123456789abcdef"), 100_000)).ID
	for _, c := range []struct {
		job   api.NewJob
		tasks int
		bytes int64
		fails string
	}{
		{api.NewJob{Program: echo, Input: api.Input{Text: "a\nbb\n"}}, 2, 5, ""},
		{api.NewJob{Program: echo, Input: api.Input{Upload: upload, Split: "bytes:1000"}}, 1600, 1_600_000, ""},
		{api.NewJob{Program: echo, Input: api.Input{Split: "range:1:1"}}, 1, 1, ""},
		{api.NewJob{Program: "square", Params: []byte(`{"numbers":[1,2,3]}`)}, 3, 0, ""},
		{api.NewJob{Program: exit, Input: api.Input{Text: "a\nb\nc\n"}}, 3, 6, "code 7: no luck"},
		{api.NewJob{Program: "sleeper", Params: []byte(`{"tasks":1,"work":10000}`)}, 1, 0, "ran longer than 1s"},
	} {
		p := post[api.Preview](g, "/api/v1/jobs/preview", c.job)
		if p.Tasks != c.tasks || c.bytes > 0 && p.Bytes != c.bytes || p.Bytes == 0 {
			t.Errorf("%+v: %+v", c.job, p)
		}
		if !strings.Contains(p.Failure, c.fails) || (p.Failure == "") != (c.fails == "") || p.TaskSeconds <= 0 || p.Complete != (c.job.Program != "sleeper") {
			t.Errorf("%+v: the task that was tried: %+v", c.job, p)
		}
	}
	if page := get[api.JobPage](g, "/api/v1/jobs"); len(page.Jobs) > 0 {
		t.Errorf("previews are jobs: %+v", page.Jobs)
	}
	// An upload is as good for a job afterwards.
	if j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: echo, Input: api.Input{Upload: upload, Split: "bytes:1000"}}); j.Tasks.Total != 1600 {
		t.Errorf("the job after its preview: %+v", j)
	}
}

// checkTiles holds the tiles of a job against its numbers.
func (g *grid) checkTiles(id string, count int, want api.Tiles) {
	g.t.Helper()
	got := get[api.Tiles](g, fmt.Sprintf("/api/v1/jobs/%s/tiles?count=%d", id, count))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		g.t.Errorf("tiles of %s in %d: %+v, want %+v", id, count, got, want)
	}
	j := get[api.Job](g, "/api/v1/jobs/"+id)
	sum := func(of []int) (n int) {
		for _, v := range of {
			n += v
		}
		return n
	}
	if sum(got.Done) != j.Tasks.Done || sum(got.Lent) != j.Tasks.Lent || sum(got.Voting) != j.Tasks.Voting {
		g.t.Errorf("tiles %+v of a job with %+v", got, j.Tasks)
	}
}

// Tiles show at a glance which tasks are in which state, and sum up to the
// numbers of the job.
func TestTiles(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("Ada", "Bob", "Mal")
	j := g.echoes("0\n1\n2\n3\n4\n", "strict:2")
	ada := g.worker("Ada", 3)
	ada.leases(3)
	ada.echoOf("0\n")
	ada.echoOf("1\n")
	g.worker("Bob", 1).echoOf("0\n")
	if a := g.worker("Mal", 1).cannotLoad(); a.Status != wire.Pending { // at task 1
		t.Errorf("a failure: %+v", a)
	}
	for count, want := range map[int]api.Tiles{
		9: {Size: 1, Done: []int{1, 0, 0, 0, 0}, Lent: []int{0, 0, 1, 0, 0}, Voting: []int{0, 1, 0, 0, 0}, Failed: []int{0, 1, 0, 0, 0}},
		3: {Size: 2, Done: []int{1, 0, 0}, Lent: []int{0, 1, 0}, Voting: []int{1, 0, 0}, Failed: []int{1, 0, 0}},
		1: {Size: 5, Done: []int{1}, Lent: []int{1}, Voting: []int{1}, Failed: []int{1}},
	} {
		g.checkTiles(j.ID, count, want)
	}
	g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil)
	g.until("the owner to let go", func() bool {
		now := get[api.Tiles](g, "/api/v1/jobs/"+j.ID+"/tiles?count=1") // what is done stays
		return slices.Equal(now.Done, []int{1}) && slices.Equal(now.Lent, []int{0}) && slices.Equal(now.Voting, []int{0})
	})
	done := g.echoes("a\nb\nc\n", "")
	carl := g.worker("Carl", 3)
	for range 3 {
		carl.echo()
	}
	g.ended(done.ID)
	g.checkTiles(done.ID, 2, api.Tiles{Size: 2, Done: []int{2, 1}, Lent: []int{0, 0}, Voting: []int{0, 0}, Failed: []int{0, 0}})
	for _, count := range []string{"-1", "4097", "many"} {
		if status, _, body := g.request("GET", "/api/v1/jobs/"+j.ID+"/tiles?count="+count, nil); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
			t.Errorf("count=%s: %d, %s", count, status, body)
		}
	}
}

// A picture of what there is so far is made once for all who look, again only
// when there is more, and not sent again to those who have it.
func TestPartialIsShared(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\nb\nc\n", "")
	path := "/api/v1/jobs/" + j.ID + "/result?partial=true"
	const made = "potluck_partial_results_total"
	ada := g.worker("Ada", 3)
	ada.leases(3)
	if status, header, body := g.request("GET", path, nil); status != http.StatusNoContent || len(body) > 0 || header.Get("ETag") != "" || header.Get("Content-Type") != "" {
		t.Errorf("nothing yet: %d, %v, %q", status, header, body)
	}
	ada.echo()
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() { g.wantPartial(path, "a\n") })
	}
	wait.Wait()
	etag := g.wantPartial(path, "a\n")
	if n := g.metric(made); n != 1 {
		t.Errorf("made %v times for all", n)
	}
	samples := len(get[[]api.Sample](g, "/api/v1/grid/history"))
	g.until("two seconds to pass", func() bool {
		if status, _, body := g.request("GET", path, nil, "If-None-Match", etag); status != http.StatusNotModified || len(body) > 0 {
			t.Errorf("the same again: %d", status)
		}
		return len(get[[]api.Sample](g, "/api/v1/grid/history")) > samples+2
	})
	if n := g.metric(made); n != 1 {
		t.Errorf("made %v times though nothing has changed", n)
	}
	ada.echo()
	g.until("a newer picture", func() bool {
		status, _, body := g.request("GET", path, nil, "If-None-Match", etag)
		return status == http.StatusOK && string(body) == "a\nb\n"
	})
	if n := g.metric(made); n != 2 {
		t.Errorf("made %v times for two pictures", n)
	}
}

// wantPartial fetches what there is and gives its ETag.
func (g *grid) wantPartial(path, want string) string {
	status, header, body := g.request("GET", path, nil)
	if status != http.StatusOK || string(body) != want || header.Get("Cache-Control") != "no-cache" {
		g.t.Errorf("what there is: %d, %q", status, body)
	}
	return header.Get("ETag")
}

// All tasks of a running job are listed, with those who have to do with them;
// of a done one, how many tried and how many were wrong.
func TestAllTasks(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("Mal", "Eve", "Ada", "Bob", "Carl")
	j := g.echoes("0\n1\n2\n", "strict:2")
	path := "/api/v1/jobs/" + j.ID + "/tasks"
	g.worker("Mal", 1).cannotLoad()      // 0
	g.worker("Eve", 1).answer("wrong\n") // 0
	ada := g.worker("Ada", 2)            // 0 and 1
	ada.leases(2)
	g.checkAll(path, "0 computing tries=3 Ada:computing Eve:answered Mal:failed", "1 computing tries=1 Ada:computing", "2 waiting tries=0")
	ada.echoOf("0\n")
	g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done == 1 }) // the referee has decided
	bob := g.worker("Bob", 2)
	bob.leases(2)
	g.checkAll(path, "0 done tries=3 against=1 Ada:", "1 computing tries=2 Ada:computing Bob:computing", "2 computing tries=1 Bob:computing")
	if page := get[api.TaskPage](g, path); len(page.Tasks) != 1 || page.Tasks[0].Hash == "" {
		t.Errorf("those that are done: %+v", page)
	}
	_, _, raw := g.request("GET", path+"?all=true&cursor=1", nil)
	if bytes.Contains(raw, []byte("accepted")) || !bytes.Contains(raw, []byte("lent")) {
		t.Errorf("times of tasks that are not done: %s", raw)
	}
	ada.echo()
	bob.echo()
	bob.echo()
	g.worker("Carl", 1).echo()
	g.ended(j.ID)
	g.checkAll(path, "0 done tries=3 against=1 Ada:", "1 done tries=2 Ada: Bob:", "2 done tries=2 Bob: Carl:")
	_, _, lines := g.request("GET", path, nil, "Accept", "application/x-ndjson")
	var first api.Task
	if err := json.Unmarshal(lines[:bytes.IndexByte(lines, '\n')], &first); err != nil || first.Dissents != 1 || first.State != api.TaskStateDone {
		t.Errorf("NDJSON: %s", lines)
	}
}

// checkAll reads all tasks, two a page, and compares them with a short form.
func (g *grid) checkAll(path string, want ...string) {
	g.t.Helper()
	var got []string
	for page := (api.TaskPage{Next: "0"}); page.Next != ""; {
		page = get[api.TaskPage](g, path+"?all=true&limit=2&cursor="+page.Next)
		for _, task := range page.Tasks {
			got = append(got, short(task))
		}
	}
	if !slices.Equal(got, want) {
		g.t.Errorf("tasks:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func short(task api.Task) string {
	text := fmt.Sprintf("%d %s tries=%d", task.Task, task.State, task.Tries)
	if task.Dissents > 0 {
		text += fmt.Sprintf(" against=%d", task.Dissents)
	}
	var who []string
	for _, v := range task.Volunteers {
		who = append(who, " "+v.Name+":"+string(v.State))
	}
	slices.Sort(who)
	return text + strings.Join(who, "")
}
