package engines

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"potluck/client"
	"potluck/scripts/chrome"
	"potluck/scripts/localgrid"
)

// gridTime is how long the jobs may take together: an emulated processor takes
// most of it to compile the programs.
const gridTime = 8 * time.Minute

// TestMachinesOfAllKindsAgree has a runner, a runner on arm64 and a tab compute
// every built-in program, and a C program that prints a NaN, each task by all
// three of them.
func TestMachinesOfAllKindsAgree(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), gridTime)
	defer cancel()
	g := startGrid(ctx, t)
	mean := job{g.publish(ctx, t, "../../sandbox/profile/testdata/modules/mean.wasm"), "", "1 2 3\n\n", contains("2\nnan\n")}
	ids, all := map[string]string{}, append(slices.Clone(builtins), mean)
	for _, j := range all {
		created, err := g.Submit(ctx, j.submission())
		if err != nil {
			t.Fatal(err)
		}
		ids[j.program] = created.ID
	}
	for _, j := range all {
		t.Run(fmt.Sprintf("%.12s", j.program), func(t *testing.T) { g.finish(ctx, t, ids[j.program], j) })
	}
	g.nobodyLeft(ctx, t)
}

// A machines is a grid with one volunteer of each kind.
type machines struct {
	*localgrid.Grid
	volunteers map[string]bool // those that computed
}

// startGrid has each become established before a faster one comes: else the server
// would decide instead of them.
func startGrid(ctx context.Context, t *testing.T) *machines {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := localgrid.Build(bin); err != nil {
		t.Fatal(err)
	}
	grid, err := localgrid.Start(bin, t.TempDir(), "--referee-share", "1")
	if err != nil {
		t.Fatal(err)
	}
	g := &machines{grid, map[string]bool{}}
	var emulated *localgrid.Process
	t.Cleanup(func() {
		g.Close()
		if t.Failed() && emulated != nil {
			t.Logf("the server's log:\n%s\nthe runner on arm64:\n%s", g.Server.Log, emulated.Log)
		}
	})
	if emulated, err = g.Run("qemu-aarch64", arm64, "-emulator", "qemu-aarch64", "-server", g.URL, "-name", "arm64", "-cache", folder(t)); err != nil {
		t.Fatal(err)
	}
	g.establish(ctx, t, 1)
	g.donate(t)
	g.establish(ctx, t, 2)
	if _, err := g.Worker("--name", "here", "--slots", "1", "--cache", folder(t)); err != nil {
		t.Fatal(err)
	}
	g.establish(ctx, t, 3)
	return g
}

func (g *machines) establish(ctx context.Context, t *testing.T, volunteers int) {
	t.Helper()
	if err := g.Establish(ctx, volunteers); err != nil {
		t.Fatal(err)
	}
}

// donate opens a tab and presses Start.
func (g *machines) donate(t *testing.T) {
	t.Helper()
	b, err := chrome.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	tab, err := b.Open()
	if err == nil {
		err = tab.Do(chromedp.Navigate(g.URL + "/"))
	}
	if err == nil {
		err = tab.Press("Start computing")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (g *machines) publish(ctx context.Context, t *testing.T, file string) string {
	t.Helper()
	module, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	id, err := g.Publish(ctx, module)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// finish waits for a job, and looks at its result and at who computed it.
func (g *machines) finish(ctx context.Context, t *testing.T, id string, j job) {
	t.Helper()
	last, err := g.Await(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if last.State != client.JobStateDone {
		t.Fatalf("the job is %s: %s, %+v", last.State, last.Reason, last.Failures)
	}
	result, err := g.Result(ctx, id)
	if err == nil {
		err = j.check(result)
	}
	if err != nil {
		t.Error(err)
	}
	page, err := g.ListTasksWithResponse(ctx, id, &client.ListTasksParams{Limit: 1000})
	if err != nil || page.JSON200 == nil {
		t.Fatalf("%v, %v", page, err)
	}
	for _, task := range page.JSON200.Tasks {
		if len(task.Volunteers) != 3 || task.Dissents > 0 {
			t.Errorf("task %d: %d volunteers agree, %d results differ", task.Task, len(task.Volunteers), task.Dissents)
		}
		for _, v := range task.Volunteers {
			g.volunteers[v.ID] = true
		}
	}
}

// nobodyLeft demands that all three are still there, and trusted as before.
func (g *machines) nobodyLeft(ctx context.Context, t *testing.T) {
	t.Helper()
	grid, err := g.GetGridWithResponse(ctx)
	if err != nil || grid.JSON200 == nil {
		t.Fatalf("%v, %v", grid, err)
	}
	if grid.JSON200.Workers != 3 || len(g.volunteers) != 3 {
		t.Errorf("%d workers are connected and %d volunteers computed, of 3", grid.JSON200.Workers, len(g.volunteers))
	}
	for id := range g.volunteers {
		v, err := g.GetVolunteerWithResponse(ctx, id)
		if err != nil || v.JSON200 == nil || v.JSON200.Trust == client.VolunteerTrustQuarantined {
			t.Errorf("volunteer %s: %s, %v", id, v.Body, err)
		}
	}
}
