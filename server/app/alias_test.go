package app

import (
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"potluck/server/api"
	"potluck/server/ledger"
	"potluck/wire"
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

// Who has the secret can have the name erased, for good and everywhere; what
// was computed stays.
func TestErased(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := g.echoes("one\n", "")
	g.worker("Ada", 1).echo()
	running := g.echoes("one\ntwo\n", "strict:2")
	g.worker("Mal", 1).fail("exit status 3")
	g.ended(j.ID)
	for _, name := range []string{"Ada", "Mal"} {
		for range 2 { // the second time there is nothing left to erase
			if status, _, body := g.request("DELETE", wire.MePath, nil, wire.SecretHeader, hex.EncodeToString(secretOf(name))); status != http.StatusNoContent {
				t.Fatalf("%d, %s", status, body)
			}
		}
	}
	g.namedEverywhere(j.ID, "")
	if f := get[api.Job](g, "/api/v1/jobs/"+running.ID).Failures; len(f) != 1 || f[0].By != wire.VolunteerID(secretOf("Mal")) {
		t.Errorf("who failed: %+v", f)
	}
	g.Close(t.Context())
	g = serve(t, dir, nil)
	g.namedEverywhere(j.ID, "")
}

// Nobody is erased by nonsense.
func TestNotErased(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	w := g.worker("Ada", 0)
	for _, secret := range []string{"", "00", "not hexadecimal", w.id, strings.Repeat("00", 65)} {
		if status, header, body := g.request("DELETE", wire.MePath, nil, wire.SecretHeader, secret); status < 400 || status > 499 || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d, %s", secret, status, body)
		}
	}
	if status, _, _ := g.request("DELETE", wire.MePath, nil); status != http.StatusBadRequest {
		t.Errorf("without a secret: %d", status)
	}
	if name := g.ledger.Alias(w.id).Name; name != "Ada" {
		t.Errorf("she is called %q", name)
	}
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
