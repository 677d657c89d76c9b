package app

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"potluck/server/api"
)

// A spreadsheet takes no name of a volunteer for a formula.
func TestNamesAreNoFormulas(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	names := []string{`=HYPERLINK("http://evil.example")`, "+1", "-1", "@SUM(A1)", "＝1+1", "Ada = Grace"}
	j := g.echoes(strings.Repeat("a\n", len(names)), "")
	for _, name := range names {
		w := g.worker(name, 1)
		w.echo()
	}
	g.ended(j.ID)
	status, header, body := g.request("GET", "/api/v1/jobs/"+j.ID+"/tasks", nil, "Accept", "text/csv")
	rows, err := csv.NewReader(strings.NewReader(string(body))).ReadAll()
	if err != nil || status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/csv") || len(rows) != len(names)+1 {
		t.Fatalf("%d, %s, %v", status, body, err)
	}
	var cells []string
	for _, row := range rows[1:] {
		cells = append(cells, row[2])
	}
	for i, name := range names {
		if i < len(names)-1 {
			name = "'" + name
		}
		if !slices.Contains(cells, name) {
			t.Errorf("%q is not among %q", name, cells)
		}
	}
	page := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks")
	if !slices.ContainsFunc(page.Tasks, func(task api.Task) bool { return task.Volunteers[0].Name == names[0] }) {
		t.Errorf("in JSON a name is as it was given: %+v", page)
	}
}

// What people call a token is a line that reads as it is stored.
func TestTokenNamesAreLines(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	for _, name := range []string{"abc\u202edef", "a\u2028b", "a\x1b[2J", "a\u200bb"} {
		body, err := json.Marshal(api.NewToken{Role: api.RoleRunner, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		g.refuses("POST", "/api/v1/tokens", body, http.StatusUnprocessableEntity, "one line")
	}
	post[api.CreatedToken](g, "/api/v1/tokens", api.NewToken{Role: api.RoleRunner, Name: "machine room 👩\u200d🔬"})
}
