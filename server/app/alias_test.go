package app

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/server/api"
	"potluck/server/ledger"
	"potluck/server/schedule"
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
	g.worker("Mal", 1).fail()
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
	g.echoes("one\n", "")
	w := g.worker("Ada", 1)
	w.echo()
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

// Whoever only connects leaves nothing in the store, under however many names;
// whoever only fails neither. The first result that counts has the name stored.
func TestStrangersLeaveNoNames(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.MaxPerAddress = 100 })
	for i := range 50 {
		w := g.worker(fmt.Sprintf("stranger %d", i), 0)
		if i == 0 && get[[]api.Worker](g, "/api/v1/workers")[0].Name != "stranger 0" {
			t.Error("a worker has no name while it is here")
		}
		_ = w.conn.CloseNow()
	}
	j := g.echoes("one\ntwo\n", "strict:2")
	mal := g.worker("Mal", 2)
	mal.fail()
	if err := g.ledger.Behaved(t.Context(), mal.id, schedule.Did{Failures: 1, At: time.Now().UnixMicro()}, ""); err != nil {
		t.Fatal(err)
	}
	if r := g.ledger.Reputation(mal.id); r.Failing == 0 {
		t.Errorf("it is not known that Mal failed: %+v", r)
	}
	if names, reputations := g.keys("KV_aliases"), g.keys("KV_reputation"); names+reputations > 0 {
		t.Errorf("strangers left %d names and %d reputations", names, reputations)
	}
	g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil)
	g.echoes("three\n", "trusted")
	if a := g.worker("Ada", 1).echo(); a.Status != wire.Accepted {
		t.Fatalf("%+v", a)
	}
	if n := g.keys("KV_aliases"); n != 1 {
		t.Errorf("%d names are stored after a result that counts", n)
	}
	if err := g.ledger.ForgetAliases(t.Context(), time.Now().Add(300*24*time.Hour)); err != nil || g.keys("KV_aliases") != 1 {
		t.Errorf("a name is forgotten too soon, or: %v", err)
	}
	if err := g.ledger.ForgetAliases(t.Context(), time.Now().Add(366*24*time.Hour)); err != nil || g.keys("KV_aliases") != 0 {
		t.Errorf("a name is kept too long, or: %v", err)
	}
	if a := g.ledger.Alias(wire.VolunteerID(secretOf("Ada"))); a != (ledger.Alias{}) {
		t.Errorf("forgotten, and still %+v", a)
	}
}

// Who asks to be forgotten while the name is not stored yet is not named by the
// next result.
func TestForgottenBeforeTheFirstResult(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	w := g.worker("Ada", 1)
	if status, _, body := g.request("DELETE", wire.MePath, nil, wire.SecretHeader, hex.EncodeToString(secretOf("Ada"))); status != http.StatusNoContent {
		t.Fatalf("%d, %s", status, body)
	}
	g.until("the worker to be without a name", func() bool { return get[[]api.Worker](g, "/api/v1/workers")[0].Name == "" })
	g.echoes("one\n", "trusted")
	w.echo()
	if n := g.keys("KV_aliases"); n != 0 {
		t.Errorf("%d names are stored", n)
	}
}

// namedEverywhere wants all that names a volunteer to use one name.
func (g *grid) namedEverywhere(job, name string) {
	g.t.Helper()
	g.until("the leaderboard to say "+name, func() bool {
		board := get[[]api.Standing](g, "/api/v1/leaderboard")
		return len(board) == 1 && board[0].Name == name
	})
	g.until("the workers to be called "+name, func() bool {
		return !slices.ContainsFunc(get[[]api.Worker](g, "/api/v1/workers"), func(w api.Worker) bool { return w.Name != name })
	})
	for _, task := range get[api.TaskPage](g, "/api/v1/jobs/"+job+"/tasks").Tasks {
		if v := task.Volunteers; len(v) != 1 || v[0].Name != name {
			g.t.Errorf("among those who computed a task: %+v", v)
		}
	}
}
