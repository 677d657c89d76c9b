package app

import (
	"testing"

	"potluck/server/api"
	"potluck/server/ledger"
)

// A name holds everywhere at once, for what was computed under another one too.
func TestRenamed(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("one\n", "")
	w := g.worker("Ada", 1)
	w.echo()
	g.ended(j.ID)
	g.worker("Ada", 0) // another connection of hers
	g.namedEverywhere(j.ID, "Ada")
	if err := g.ledger.SetAlias(t.Context(), w.id, ledger.Alias{Name: "Countess"}); err != nil {
		t.Fatal(err)
	}
	g.namedEverywhere(j.ID, "Countess")
}

// namedEverywhere wants all that names a volunteer to use one name.
func (g *grid) namedEverywhere(job, name string) {
	g.t.Helper()
	g.until("the leaderboard to say "+name, func() bool {
		board := get[[]api.Standing](g, "/api/v1/leaderboard")
		return len(board) == 1 && board[0].Name == name
	})
	for _, w := range get[[]api.Worker](g, "/api/v1/workers") {
		if w.Name != name {
			g.t.Errorf("among the workers: %q", w.Name)
		}
	}
	for _, task := range get[api.TaskPage](g, "/api/v1/jobs/"+job+"/tasks").Tasks {
		if v := task.Volunteers; len(v) != 1 || v[0].Name != name {
			g.t.Errorf("among those who computed a task: %+v", v)
		}
	}
}
