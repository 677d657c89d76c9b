package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/client"
)

// A receipt is enough to compute a task again and to compare the bytes; one that
// was tampered with is found out, whatever was changed.
func TestVerify(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	j := g.submit(client.NewJob{Program: "pi", Params: params(`{"samples":80000000}`)})
	g.ended(j.ID, client.JobStateDone)
	path := "/api/v1/jobs/" + j.ID + "/tasks/0/receipt"
	status, body := g.get(path)
	var r client.Receipt
	if err := json.Unmarshal([]byte(body), &r); err != nil || status != http.StatusOK {
		t.Fatalf("%d, %s", status, body)
	}
	if r.Provisional || len(r.Volunteers) != 1 || r.Volunteers[0].Name != "Ada" || len(r.Seed) != 16 || r.Accepted.Before(r.Lent) {
		t.Errorf("the receipt: %+v", r)
	}
	if got := g.potluck(body, "verify", "-"); got.status != 0 || !strings.Contains(got.stdout, "task 0 agrees: "+r.Output.Hash) {
		t.Errorf("%+v", got)
	}
	if got := g.potluck("", "verify", "--job", j.ID, "--sample", "3", "--json"); got.status != 0 || strings.Count(got.stdout, `"agrees": true`) != min(3, j.Tasks.Total) {
		t.Errorf("%+v", got)
	}

	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	tampered := func(change func(r *client.Receipt)) string {
		copied := r
		change(&copied)
		data, err := json.Marshal(copied)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	none := strings.Repeat("0", 64)
	for _, c := range []struct {
		receipt string
		args    []string
		status  int
		says    string
	}{
		{tampered(func(r *client.Receipt) { r.Output.Hash = none }), nil, 5, "task 0 DISAGREES: " + r.Output.Hash},
		{tampered(func(r *client.Receipt) { r.Output.Hash, r.Volunteers = none, []client.Voter{{Name: "\x1b[2JEve"}} }), nil, 5, "by [\uFFFD[2JEve]"},
		{tampered(func(r *client.Receipt) { r.Input.Hash = none }), nil, 1, "it is another input"},
		{tampered(func(r *client.Receipt) { r.Module = none }), nil, 1, none},
		{tampered(func(r *client.Receipt) { r.Task = 1 }), nil, 1, "it is another input"},
		{tampered(func(r *client.Receipt) { r.Args = []string{"render"} }), nil, 5, "DISAGREES: it failed here"},
		{body, []string{"--module", other}, 1, "it is another module"},
		{body, []string{"--input", other}, 1, "it is another input"},
		{"{}", nil, 1, "this is no receipt"},
		{"", []string{"--job", j.ID}, 2, "say what to verify"},
	} {
		got := g.potluck(c.receipt, append([]string{"verify", "-"}, c.args...)...)
		if got.status != c.status || !strings.Contains(got.stdout+got.stderr, c.says) {
			t.Errorf("%s %v: %+v, want %d and %q", c.receipt, c.args, got, c.status, c.says)
		}
	}
	waiting := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":2,"work":10000}`)})
	for path, want := range map[string]int{
		fmt.Sprintf("/api/v1/jobs/%s/tasks/%d/receipt", j.ID, j.Tasks.Total): http.StatusNotFound,
		"/api/v1/jobs/none/tasks/0/receipt":                                  http.StatusNotFound,
		"/api/v1/jobs/" + j.ID + "/tasks/x/receipt":                          http.StatusBadRequest,
		"/api/v1/jobs/" + waiting.ID + "/tasks/1/receipt":                    http.StatusConflict,
	} {
		if status, body := g.get(path); status != want {
			t.Errorf("%s: %d, %s", path, status, body)
		}
	}
}
