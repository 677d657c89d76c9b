package app

import (
	"testing"
	"time"

	"potluck/server/api"
	"potluck/server/schedule"
	"potluck/wire"
)

// standing finds a name on the leaderboard.
func (g *grid) standing(name string) (s api.Standing) {
	g.t.Helper()
	for _, s := range get[[]api.Standing](g, "/api/v1/leaderboard") {
		if s.Name == name {
			return s
		}
	}
	return s
}

// echoIn answers a task rightly and claims that it took so long.
func (w *worker) echoIn(took time.Duration) {
	w.t.Helper()
	l := w.leases(1)[0]
	if a := w.result(wire.Result{Lease: l.ID, Output: l.Input, Micros: took.Microseconds()}); a.Status != wire.Accepted {
		w.t.Errorf("answered with %+v", a)
	}
}

// What is computed for a job that runs is pending until the job is done. Nobody
// gets more than others for the same, and who is caught has nothing.
func TestPendingThenValidated(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.echoes("one\ntwo\nthree\n", "")
	ada, eve := g.worker("Ada", 2), g.worker("Eve", 1)
	ada.echoIn(time.Millisecond)
	eve.echoIn(time.Hour)
	g.until("two tasks to be pending", func() bool {
		a, e := g.standing("Ada"), g.standing("Eve")
		return a.PendingTasks == 1 && e.PendingTasks == 1 && a.PendingSeconds == e.PendingSeconds && a.Tasks+e.Tasks == 0
	})
	ada.echoIn(time.Millisecond)
	g.until("the job's credit", func() bool {
		a, e := g.standing("Ada"), g.standing("Eve")
		return a.Tasks == 2 && e.Tasks == 1 && a.Seconds == 0.002 && e.Seconds == 0.001 && a.PendingTasks+e.PendingTasks == 0
	})
	if err := g.ledger.Behaved(t.Context(), eve.id, schedule.Did{Lied: true, At: time.Now().UnixMicro()}, "a test says so"); err != nil {
		t.Fatal(err)
	}
	if board := get[[]api.Standing](g, "/api/v1/leaderboard"); len(board) != 1 || board[0].Name != "Ada" {
		t.Errorf("with somebody in quarantine: %+v", board)
	}
}
