package app

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/scripts/golden"
	"potluck/server/api"
	"potluck/server/ledger"
	"potluck/server/schedule"
	"potluck/wire"
)

// A folder is the data folder of a release, as testdata has it: an archive, and
// beside it what that release said of what is in it.
type folder struct {
	Token    string `json:"token"` // the submitter's, whose the jobs are
	Module   string `json:"module"`
	Approved string `json:"approved"` // another module
	Done     string `json:"done"`     // jobs
	Failed   string `json:"failed"`
	Paused   string `json:"paused"`
	Lease    []byte `json:"lease"` // of a task of the paused job, not answered

	// Pages are what the API answered, by path.
	Pages map[string]json.RawMessage `json:"pages"`
}

// folders are the releases whose folders are kept. A later one makes its own
// with -rewrite; testdata/README.md has more.
var folders = []string{"grid-v1"}

// What the jobs in a folder work on, by state. All of it is echoed.
var (
	doneText   = lines(40, strings.Repeat("done ", 12)) // too much for the job's record
	failedText = "one\ntwo\n"
	largeLine  = strings.Repeat("large ", wire.MaxInline/6+1) + "\n"
	pausedText = largeLine + lines(7, "paused ")
)

func lines(n int, text string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, text, i)
	}
	return b.String()
}

// A grid survives its server's update, with all that is in it.
func TestOlderFolders(t *testing.T) {
	for _, name := range folders {
		t.Run(name, func(t *testing.T) {
			archive := filepath.Join("testdata", name+".zip")
			if _, err := os.Stat(archive); golden.Rewrite() && errors.Is(err, fs.ErrNotExist) {
				makeFolder(t, archive)
			}
			dir, f := unpack(t, archive)
			g := servePublicOn(t, dir, nil)
			g.knows(f)
			g.refusesWorker("Mal", wire.CodeQuarantine)
			g.resumes(f)
			g.retries(f)
			g.takesMore(f)
		})
	}
}

func unpack(t *testing.T, archive string) (dir string, f folder) {
	t.Helper()
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatalf("%v: go test -rewrite makes an archive that is not there", err)
	}
	defer z.Close() //nolint:errcheck // only read
	dir = filepath.Join(t.TempDir(), "data")
	data, err := os.ReadFile(strings.TrimSuffix(archive, "zip") + "json")
	if err = errors.Join(err, os.CopyFS(dir, z)); err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir, f
}

// knows wants the server to say all that the older one said, and to have the
// bytes that belong to it.
func (p *public) knows(f folder) {
	p.t.Helper()
	for path, old := range f.Pages {
		p.saysStill(path, old)
	}
	if text := p.result(f.Done); text != doneText {
		p.t.Errorf("the result is %q", text)
	}
	if status, _, input := p.request("GET", "/api/v1/jobs/"+f.Done+"/tasks/39/input", nil); status != http.StatusOK || !strings.HasSuffix(doneText, string(input)) {
		p.t.Errorf("an input: %d, %q", status, input)
	}
	for _, id := range []string{f.Module, f.Approved} {
		status, _, module := p.request("GET", "/api/v1/modules/"+id, nil)
		if sum := sha256.Sum256(module); status != http.StatusOK || hex.EncodeToString(sum[:]) != id {
			p.t.Errorf("module %s: %d, %d bytes", id, status, len(module))
		}
	}
}

// saysStill waits until a page has all that it had in an older release. A job's
// new owner needs a moment to read back what was accepted.
func (p *public) saysStill(path string, old json.RawMessage) {
	p.t.Helper()
	var was, is any
	if err := json.Unmarshal(old, &was); err != nil {
		p.t.Fatal(err)
	}
	if volunteer, is := was.(map[string]any); is {
		delete(volunteer, "probation") // what is asked of newcomers is this release's
	}
	defer func() {
		if p.t.Failed() {
			p.t.Logf("%s was\n%s, and is\n%v", path, old, is)
		}
	}()
	p.until(path+" to have what it had", func() bool {
		_, _, data := p.request("GET", path, nil, with(p.admin)...)
		return json.Unmarshal(data, &is) == nil && has(is, was)
	})
}

// has says whether a JSON value has all that another one has, and perhaps more.
func has(is, was any) bool {
	switch was := was.(type) {
	case map[string]any:
		is, ok := is.(map[string]any)
		for key := range was {
			ok = ok && has(is[key], was[key])
		}
		return ok
	case []any:
		is, ok := is.([]any)
		ok = ok && len(is) >= len(was)
		for i := range was {
			ok = ok && has(is[i], was[i])
		}
		return ok
	}
	return is == was
}

// resumes wants the paused job to end with the right result: with what was
// accepted before, with what is answered to an old lease, and with the rest.
func (p *public) resumes(f folder) {
	p.t.Helper()
	if j := get[api.Job](p.grid, "/api/v1/jobs/"+f.Paused); j.State != api.JobStatePaused || j.Tasks.Done != 3 {
		p.t.Errorf("the paused job: %+v", j)
	}
	input := strings.SplitAfter(pausedText, "\n")[3]
	ada := p.worker("Ada", 0)
	if a := ada.result(wire.Result{Lease: f.Lease, Output: []byte(input)}); a.Status != wire.Accepted {
		p.t.Errorf("the answer to an old lease: %+v", a)
	}
	p.runner("Rob")
	post[api.Job](p.grid, "/api/v1/jobs/"+f.Paused+"/resume", nil, with(f.Token)...)
	if j := p.ended(f.Paused); j.State != api.JobStateDone {
		p.t.Fatalf("the paused job: %+v", j)
	}
	if p.result(f.Paused) != pausedText {
		p.t.Error("the result of the paused job is wrong")
	}
	tasks := "/api/v1/jobs/" + f.Paused + "/tasks"
	p.saysStill(tasks, f.Pages[tasks]) // they were not computed again
	for i, task := range get[api.TaskPage](p.grid, tasks).Tasks {
		if by := task.Volunteers[0].Name; (by == "Ada") != (i <= 3) {
			p.t.Errorf("task %d was computed by %q", i, by)
		}
	}
}

func (p *public) retries(f folder) {
	p.t.Helper()
	post[api.Job](p.grid, "/api/v1/jobs/"+f.Failed+"/retry", nil, with(f.Token)...)
	if j := p.ended(f.Failed); j.State != api.JobStateDone || p.result(f.Failed) != failedText {
		p.t.Errorf("the failed job: %+v", j)
	}
	if !p.counted(f.Failed, "Cyd") {
		p.t.Error("what was accepted before it failed was computed again")
	}
}

// takesMore wants old modules and inputs to be good for new jobs.
func (p *public) takesMore(f folder) {
	p.t.Helper()
	j := post[api.Job](p.grid, "/api/v1/jobs", api.NewJob{Program: f.Module, Input: api.Input{Job: f.Done}, Policy: "trusted"}, with(f.Token)...)
	if j = p.ended(j.ID); j.State != api.JobStateDone || p.result(j.ID) != doneText {
		p.t.Errorf("a new job: %+v", j)
	}
	j = post[api.Job](p.grid, "/api/v1/jobs", api.NewJob{Program: f.Approved, Input: api.Input{Text: "a\n"}, Policy: "trusted"}) // without a token
	if j = p.ended(j.ID); j.State != api.JobStateDone || j.Program != "constant" {
		p.t.Errorf("a job of the approved module: %+v", j)
	}
}

// runner starts a real runner with one slot.
func (g *grid) runner(name string) {
	g.t.Helper()
	c := exec.CommandContext(g.t.Context(), os.Getenv(executor),
		"--server", g.URL, "--identity", "none", "--name", name, "--slots", "1", "--cache", cache, "--quiet")
	var log bytes.Buffer
	c.Stderr = &log
	if err := c.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = c.Wait() // it was killed
		if g.t.Failed() {
			g.t.Logf("the runner said: %s", log.String())
		}
	})
}

// manifest is of a program whose every stage answers with it.
const manifest = `{"contract":1,"name":"constant","title":"A constant","summary":"Always the same.","result":"application/json","stages":["map"],"split":"lines"}`

// makeFolder makes the folder of this release, with what TestOlderFolders wants.
func makeFolder(t *testing.T, archive string) {
	t.Helper()
	dir := t.TempDir()
	g := servePublicOn(t, dir, nil)
	f := &folder{Token: g.token(api.NewToken{Role: api.RoleSubmitter, Name: "Sue"}).Token}
	wasm := with(g.admin, "Content-Type", "application/wasm")
	f.Module = post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), wasm...).ID
	f.Approved = post[api.Module](g.grid, "/api/v1/modules", wasmtest.Say(manifest), wasm...).ID
	if status, _, body := g.request("PUT", "/api/v1/approvals/"+f.Approved, nil, with(g.admin)...); status != http.StatusNoContent {
		t.Fatalf("approve: %d, %s", status, body)
	}
	g.makeDone(f)
	g.makeFailed(f)
	g.makePaused(f)
	g.makePages(f)
	g.Close(t.Context())
	pack(t, archive, dir, f)
}

// made submits a job of echo tasks.
func (p *public) made(f *folder, title, policy string, in api.Input) string {
	p.t.Helper()
	job := api.NewJob{Program: f.Module, Title: title, Args: []string{title}, Policy: policy, Input: in}
	return post[api.Job](p.grid, "/api/v1/jobs", job, with(f.Token, "Idempotency-Key", title)...).ID
}

// makeDone has a job done by two who are established.
func (p *public) makeDone(f *folder) {
	p.t.Helper()
	p.establish("Ada", "Bob")
	f.Done = p.made(f, "done", "strict:2", api.Input{Text: doneText})
	workers := []*worker{p.worker("Ada", 1), p.worker("Bob", 1)}
	for range strings.Count(doneText, "\n") {
		for _, w := range workers {
			w.echo()
			w.send(wire.FromWorker{Credit: uint64(w.lent) + 1})
		}
	}
	p.ended(f.Done)
	for _, w := range workers {
		p.until("a reputation to be kept", func() bool { return p.ledger.Reputation(w.id).Standing == schedule.Established })
		_ = w.conn.CloseNow()
	}
}

// makeFailed has a job failed by three, after a result was accepted.
func (p *public) makeFailed(f *folder) {
	p.t.Helper()
	f.Failed = p.made(f, "failed", "trusted", api.Input{Text: failedText})
	for i, name := range []string{"Cyd", "Dan", "Eve"} {
		w := p.worker(name, 1)
		if i == 0 {
			w.echo()
			w.send(wire.FromWorker{Credit: 2})
		}
		w.fail()
		_ = w.conn.CloseNow()
	}
	p.ended(f.Failed)
}

// makePaused has a job paused after Ada's first three answers, one of them large.
func (p *public) makePaused(f *folder) {
	p.t.Helper()
	upload := post[api.Upload](p.grid, "/api/v1/inputs", []byte(pausedText), with(f.Token)...).ID
	f.Paused = p.made(f, "paused", "trusted", api.Input{Upload: upload})
	ada := p.worker("Ada", 4)
	held := ada.leases(4)
	f.Lease = held[3].ID
	sum := sha256.Sum256([]byte(largeLine))
	status, _, body := p.request("PUT", fmt.Sprintf(wire.OutputPath, f.Paused, hex.EncodeToString(sum[:])), []byte(largeLine),
		wire.LeaseHeader, hex.EncodeToString(held[0].ID), wire.VolunteerHeader, ada.id)
	if status != http.StatusCreated {
		p.t.Fatalf("a large output: %d, %s", status, body)
	}
	for _, r := range []wire.Result{
		{Lease: held[0].ID, Hash: sum[:], Micros: 5000},
		{Lease: held[1].ID, Output: held[1].Input, Micros: 3000},
		{Lease: held[2].ID, Output: held[2].Input, Micros: 4000},
	} {
		if a := ada.result(r); a.Status != wire.Accepted {
			p.t.Fatalf("%+v", a)
		}
	}
	post[api.Job](p.grid, "/api/v1/jobs/"+f.Paused+"/pause", nil, with(f.Token)...)
	_ = ada.conn.CloseNow()
	p.await(f.Paused, func(j api.Job) bool { return j.State == api.JobStatePaused && j.Tasks.Lent == 0 })
}

// makePages asks for all that is to be known for ever.
func (p *public) makePages(f *folder) {
	p.t.Helper()
	ada, mal := wire.VolunteerID(secretOf("Ada")), wire.VolunteerID(secretOf("Mal"))
	if err := errors.Join(
		p.ledger.SetAlias(p.t.Context(), ada, ledger.Alias{Name: "Ada", Team: "Engines"}),
		p.ledger.Behaved(p.t.Context(), mal, schedule.Did{Lied: true, Failures: 1, At: 1}, "a result was wrong"),
	); err != nil {
		p.t.Fatal(err)
	}
	p.until("what is pending to be known", func() bool { return get[api.Volunteer](p.grid, "/api/v1/volunteers/"+ada).PendingTasks == 3 })
	f.Pages = map[string]json.RawMessage{}
	for _, path := range []string{
		"jobs/" + f.Done, "jobs/" + f.Done + "/tasks", "jobs/" + f.Done + "/tasks/39/receipt",
		"jobs/" + f.Failed, "jobs/" + f.Paused + "/tasks", "jobs/" + f.Paused + "/tasks/0/receipt",
		"modules/" + f.Module + "/info", "modules/" + f.Approved + "/info", "approvals",
		"volunteers/" + ada, "volunteers/" + mal,
	} {
		path = "/api/v1/" + path
		f.Pages[path] = getWith[json.RawMessage](p.grid, path, p.admin)
	}
}

// pack archives a folder, without what is only a cache.
func pack(t *testing.T, archive, dir string, f *folder) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	about, err := json.MarshalIndent(f, "", "\t")
	err = errors.Join(err, os.RemoveAll(filepath.Join(dir, "cache")), os.RemoveAll(filepath.Join(dir, "lock")), os.RemoveAll(filepath.Join(dir, "scratch")))
	err = errors.Join(err, z.AddFS(os.DirFS(dir)), z.Close(), os.MkdirAll(filepath.Dir(archive), 0o755))
	err = errors.Join(err, os.WriteFile(archive, b.Bytes(), 0o644), os.WriteFile(strings.TrimSuffix(archive, "zip")+"json", append(about, '\n'), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}
