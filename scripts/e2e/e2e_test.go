// Package e2e tests the grid from outside: the real binaries, real processes,
// real signals.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/client"
	"potluck/scripts/localgrid"
)

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

var bin, cache string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "potluck-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	bin, cache = filepath.Join(dir, "bin"), filepath.Join(dir, "cache")
	if err := localgrid.Build(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A grid is a server and runners that end with the test.
type grid struct {
	*localgrid.Grid
	t *testing.T
}

func start(t *testing.T, args ...string) *grid {
	t.Helper()
	return startIn(t, bin, t.TempDir(), args...)
}

// startIn starts a grid of the binaries in a folder.
func startIn(t *testing.T, bin, data string, args ...string) *grid {
	t.Helper()
	g, err := localgrid.Start(bin, data, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		g.Close()
		if t.Failed() {
			t.Logf("the server's log:\n%s", g.Server.Log)
		}
	})
	return &grid{g, t}
}

// runner starts a runner with one slot, unless told otherwise.
func (g *grid) runner(name string, args ...string) *localgrid.Process {
	g.t.Helper()
	p, err := g.Worker(append([]string{"--name", name, "--slots", "1", "--cache", filepath.Join(cache, g.t.Name(), name), "--json"}, args...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// event is a line that a runner prints.
type event struct {
	Event, Reason string
	Totals        struct{ Computed, Failed, Accepted, Pending, Late, Rejected int }
}

// said reads what a runner has printed so far.
func said(t *testing.T, p *localgrid.Process) (all []event) {
	t.Helper()
	for line := range strings.Lines(p.Log.String()) {
		if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "\n") {
			continue // what it logs, or half a line
		}
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, e)
	}
	return all
}

// exit waits for a runner to end and gives its status and last event.
func exit(t *testing.T, p *localgrid.Process) (status int, last event) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("the runner does not end: %s", p.Log)
	}
	if all := said(t, p); len(all) > 0 {
		last = all[len(all)-1]
	}
	return p.ProcessState.ExitCode(), last
}

func (g *grid) submit(j client.NewJob) *client.Job {
	g.t.Helper()
	created, err := g.Submit(g.t.Context(), j)
	if err != nil {
		g.t.Fatal(err)
	}
	return created
}

// follow reads a job's events until one is as wanted.
func (g *grid) follow(id string, wanted func(*client.Job) bool) *client.Job {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	j, err := g.Follow(ctx, id, wanted)
	if err != nil {
		g.t.Fatal(err)
	}
	return j
}

// ended waits for a job to end in a state.
func (g *grid) ended(id string, state client.JobState) *client.Job {
	g.t.Helper()
	j := g.follow(id, func(*client.Job) bool { return false })
	if j.State != state {
		g.t.Fatalf("the job is %s instead of %s: %s", j.State, state, j.Reason)
	}
	return j
}

func (g *grid) result(id string) []byte {
	g.t.Helper()
	data, err := g.Result(g.t.Context(), id)
	if err != nil {
		g.t.Fatal(err)
	}
	return data
}

// tasks reads who computed what.
func (g *grid) tasks(id string) (all []client.Task) {
	g.t.Helper()
	for cursor := ""; ; {
		page, err := g.ListTasksWithResponse(g.t.Context(), id, &client.ListTasksParams{Limit: 1000, Cursor: cursor})
		if err != nil || page.JSON200 == nil {
			g.t.Fatalf("%v", errors.Join(err, fmt.Errorf("%v", page)))
		}
		all = append(all, page.JSON200.Tasks...)
		if cursor = page.JSON200.Next; cursor == "" {
			return all
		}
	}
}

// by counts the tasks that each name had a hand in.
func (g *grid) by(id string) map[string]int {
	g.t.Helper()
	counts := map[string]int{}
	for _, task := range g.tasks(id) {
		for _, v := range task.Volunteers {
			counts[v.Name]++
		}
	}
	return counts
}

// until looks again and again for what gives no sign when it comes.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !there(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// params writes JSON.
func params(format string, args ...any) json.RawMessage { return fmt.Appendf(nil, format, args...) }

// An outcome is what a command printed and its exit status.
type outcome struct {
	stdout, stderr string
	status         int
}

// potluck runs a client command on the grid.
func (g *grid) potluck(stdin string, args ...string) outcome {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, "potluck"), args...)
	c.Env = append(os.Environ(), "POTLUCK_SERVER="+g.URL, "POTLUCK_CACHE="+cache)
	c.Dir = g.t.TempDir()
	c.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		g.t.Fatal(err)
	}
	return outcome{stdout.String(), stderr.String(), c.ProcessState.ExitCode()}
}

// get asks for something over HTTP.
func (g *grid) get(path string) (status int, body string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, g.URL+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		g.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}
