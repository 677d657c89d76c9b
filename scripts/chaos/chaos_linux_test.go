// Package chaos has one job computed by real processes through many faults, which
// a seed chooses, and demands that nobody can tell from what is left: the same
// bytes as without them, everything accepted only once, and no volunteer worse off.
//
// The wall clock is not stepped: it is the whole machine's.
package chaos

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/client"
	"potluck/scripts/localgrid"
)

var (
	long = flag.Bool("long", false, "50 kills of the server, and every fault longer and more often")
	seed = flag.Uint64("seed", 1, "what the faults are chosen by; 0 is another seed each time")
)

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

var bin string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "potluck-chaos-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	bin = filepath.Join(dir, "bin")
	if err := localgrid.Build(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A plan is how often each fault happens, and for how long.
type plan struct {
	killServer, killRunner, fullDisk, noFiles, stop int

	stopped, without time.Duration // at most
	answers          time.Duration // the server must, so soon after a fault
}

// short is what a busy machine can do in a minute.
var short = plan{killServer: 5, killRunner: 2, fullDisk: 1, noFiles: 1, stop: 1, stopped: 4 * time.Second, without: time.Second, answers: patience}

var thorough = plan{killServer: 50, killRunner: 15, fullDisk: 4, noFiles: 4, stop: 3, stopped: time.Minute, without: 10 * time.Second, answers: 10 * time.Second}

// tasksPerFault leaves some of the job for each fault, more than the runners
// compute in advance while the server is away.
const tasksPerFault = 60

// Whatever happens to the server and its runners, a job gives the bytes that it
// gives undisturbed. What was accepted stays, is counted once, and no volunteer is
// blamed for what was not theirs.
func TestFaultsLeaveNoTrace(t *testing.T) {
	plan := short
	if *long {
		plan = thorough
	}
	s := *seed
	for s == 0 {
		s = rand.Uint64() >> 1
	}
	t.Logf("the faults are those of -seed %d", s)
	g := start(t, plan, rand.New(rand.NewPCG(s, 0)))
	faults := g.faults()
	job := client.NewJob{Program: "sleeper", Params: fmt.Appendf(nil, `{"tasks":%d,"work":20}`, tasksPerFault*(len(faults)+1)), Policy: "trusted", Collect: client.CollectConcat}
	want, _, err := g.Compute(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	job.Policy = "adaptive"
	created, err := g.Submit(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	g.job = created.ID
	for i, f := range faults {
		g.strike(f, (i+1)*tasksPerFault)
	}
	last := g.follow(func(*client.Job) bool { return false })
	if last.State != client.JobStateDone {
		t.Fatalf("the job is %s: %s", last.State, last.Reason)
	}
	if got, err := g.Result(t.Context(), g.job); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the result has %d bytes instead of %d, or others: %v", len(got), len(want), err)
	}
	g.nobodyIsBlamed()
	voted := g.voted()
	g.until("credit for each vote", func() bool { return g.credit() >= voted })
	if credit := g.credit(); credit != voted {
		t.Errorf("there is credit for %d votes, and there were %d", credit, voted)
	}
}

// A grid goes through faults.
type grid struct {
	*localgrid.Grid
	t    *testing.T
	plan plan
	rand *rand.Rand
	dir  string // the runners' files
	job  string

	runners map[string]*localgrid.Process // by name
	ids     []string                      // of the volunteers
}

// names are those of the volunteers.
var names = []string{"Ada", "Grace", "Katherine"}

// start starts a grid on a disk of its own, with established volunteers.
func start(t *testing.T, p plan, r *rand.Rand) *grid {
	t.Helper()
	g := &grid{t: t, plan: p, rand: r, dir: t.TempDir(), runners: map[string]*localgrid.Process{}}
	var err error
	if g.Grid, err = localgrid.Start(bin, disk(t), "--referee-share", "1"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			t.Logf("the last server's log:\n%s", g.Server.Log)
		}
	})
	for _, name := range names {
		g.runner(name)
	}
	if err := g.Establish(t.Context(), len(names)); err != nil {
		t.Fatal(err)
	}
	workers, err := g.ListWorkersWithResponse(t.Context())
	if err != nil || workers.JSON200 == nil {
		t.Fatalf("list the workers: %v", err)
	}
	for _, w := range *workers.JSON200 {
		g.ids = append(g.ids, w.Volunteer)
	}
	return g
}

// runner starts a volunteer's runner, again if it was killed.
func (g *grid) runner(name string) {
	g.t.Helper()
	files := filepath.Join(g.dir, name)
	p, err := g.Worker("--name", name, "--slots", "1", "--quiet", "--identity", filepath.Join(files, "identity"), "--cache", filepath.Join(files, "cache"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.runners[name] = p
}

// follow reads the job's events until one is as wanted, or the job has ended.
func (g *grid) follow(wanted func(*client.Job) bool) *client.Job {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 5*patience)
	defer cancel()
	j, err := g.Follow(ctx, g.job, wanted)
	if err != nil {
		g.t.Fatal(err)
	}
	return j
}

// accepted reads the tasks of a job that are accepted, each of which must be
// there once, with nobody twice.
func (g *grid) accepted(job string) map[int]client.Task {
	g.t.Helper()
	all := map[int]client.Task{}
	for cursor := ""; ; {
		page, err := g.ListTasksWithResponse(g.t.Context(), job, &client.ListTasksParams{Limit: 1000, Cursor: cursor})
		if err != nil || page.JSON200 == nil {
			g.t.Fatal(errors.Join(err, fmt.Errorf("list the tasks: %v", page)))
		}
		for _, task := range page.JSON200.Tasks {
			if _, twice := all[task.Task]; twice {
				g.t.Errorf("task %d was counted twice", task.Task)
			}
			all[task.Task] = task
			voters := slices.Clone(task.Volunteers)
			slices.SortFunc(voters, func(a, b client.Voter) int { return strings.Compare(a.ID, b.ID) })
			if len(slices.CompactFunc(voters, func(a, b client.Voter) bool { return a.ID == b.ID })) < len(task.Volunteers) {
				g.t.Errorf("a volunteer was counted twice for task %d: %+v", task.Task, task.Volunteers)
			}
		}
		if cursor = page.JSON200.Next; cursor == "" {
			return all
		}
	}
}

// voted counts the votes on the accepted tasks of all jobs, which have ended.
func (g *grid) voted() (votes int) {
	g.t.Helper()
	for cursor := ""; ; {
		page, err := g.ListJobsWithResponse(g.t.Context(), &client.ListJobsParams{Limit: 200, Cursor: cursor})
		if err != nil || page.JSON200 == nil {
			g.t.Fatal(errors.Join(err, fmt.Errorf("list the jobs: %+v", page)))
		}
		for _, j := range page.JSON200.Jobs {
			for _, task := range g.accepted(j.ID) {
				votes += len(task.Volunteers)
			}
		}
		if cursor = page.JSON200.Next; cursor == "" {
			return votes
		}
	}
}

// credit counts the tasks that volunteers have credit for.
func (g *grid) credit() (tasks int) {
	g.t.Helper()
	board, err := g.GetLeaderboardWithResponse(g.t.Context(), &client.GetLeaderboardParams{})
	if err != nil || board.JSON200 == nil {
		g.t.Fatal(errors.Join(err, fmt.Errorf("the leaderboard: %v", board)))
	}
	for _, entry := range *board.JSON200 {
		tasks += int(entry.Tasks)
	}
	return tasks
}

// nobodyIsBlamed demands that the volunteers are as trusted as before.
func (g *grid) nobodyIsBlamed() {
	g.t.Helper()
	for _, id := range g.ids {
		v, err := g.GetVolunteerWithResponse(g.t.Context(), id)
		if err != nil || v.JSON200 == nil {
			g.t.Fatal(errors.Join(err, fmt.Errorf("volunteer %s: %v", id, v)))
		}
		if v.JSON200.Trust != client.VolunteerTrustEstablished {
			g.t.Errorf("%s is %s: %s", v.JSON200.Name, v.JSON200.Trust, v.JSON200.Reason)
		}
	}
}

// strike has a fault happen once so many tasks of the job are done, and demands
// that nothing is lost.
func (g *grid) strike(f fault, done int) {
	g.t.Helper()
	before := g.follow(func(j *client.Job) bool { return j.Tasks.Done >= done })
	accepted := g.accepted(g.job)
	g.t.Logf("with %d of %d tasks done, %s: %s", before.Tasks.Done, before.Tasks.Total, before.State, f.what)
	over := f.strike(g)
	for _, path := range []string{"/healthz", "/readyz"} {
		if err := g.answers(path, over); err != nil {
			g.t.Fatalf("after %s: %v", f.what, err)
		}
	}
	after := g.follow(func(j *client.Job) bool { return j.Tasks.Done > 0 })
	if after.Tasks.Done < before.Tasks.Done {
		g.t.Errorf("after %s %d tasks are done, before %d", f.what, after.Tasks.Done, before.Tasks.Done)
	}
	now := g.accepted(g.job)
	for n, was := range accepted {
		is := now[n]
		if !is.Accepted.Equal(was.Accepted) || is.Hash != was.Hash || !has(is, was.Volunteers) {
			g.t.Errorf("after %s task %d is\n%+v, before\n%+v", f.what, n, is, was)
		}
	}
	g.nobodyIsBlamed()
}

// has says whether a task's voters are those and maybe more: others may still agree.
func has(task client.Task, voters []client.Voter) bool {
	return !slices.ContainsFunc(voters, func(v client.Voter) bool { return !slices.Contains(task.Volunteers, v) })
}

// answers waits until the server says that all is well, for as long as it may take
// after the end of a fault.
func (g *grid) answers(path string, over time.Time) error {
	ctx, cancel := context.WithDeadline(g.t.Context(), over.Add(g.plan.answers))
	defer cancel()
	for {
		status, err := g.get(ctx, path)
		if err == nil && status == http.StatusOK {
			g.t.Logf("%s answers after %v", path, time.Since(over).Round(time.Millisecond))
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer within %v: status %d, %w", path, g.plan.answers, status, err)
		}
	}
}

func (g *grid) get(ctx context.Context, path string) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL+path, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close() //nolint:errcheck // nothing is read
	return resp.StatusCode, nil
}

// until looks again and again for what gives no sign when it comes.
func (g *grid) until(what string, there func() bool) {
	g.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !there(); <-tick.C {
		if time.Now().After(end) {
			g.t.Fatalf("waited in vain for %s", what)
		}
	}
}
