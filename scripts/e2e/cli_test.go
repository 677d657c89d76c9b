package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"potluck/client"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/truth"
)

func itoa(i int) string { return strconv.Itoa(i) }

func publish(g *grid, module []byte) string {
	g.t.Helper()
	id, err := g.Publish(g.t.Context(), module)
	if err != nil {
		g.t.Fatal(err)
	}
	return id
}

// childrenOf lists the processes that a process has started.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatalf("no processes are to be seen: %v", err)
	}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// pid (name) state ppid …: proc(5)
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			children = append(children, child)
		}
	}
	return children
}

// write makes a file for a command to read.
func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A job from the command line, start to end: stdout is data.
func TestCommandLine(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	submitted := g.potluck("", "submit", "square", "--params", `{"numbers":[7,8]}`, "--title", "my squares")
	if submitted.status != 0 {
		t.Fatal(submitted)
	}
	id := strings.TrimSpace(submitted.stdout)
	g.ended(id, client.JobStateDone)
	for _, c := range []struct {
		args []string
		has  []string
	}{
		{[]string{"result", id}, []string{"[49,64]"}},
		{[]string{"jobs"}, []string{id, "done", "2/2", "my squares"}},
		{[]string{"jobs", "--state", "done", "--json"}, []string{`"id": "` + id + `"`}},
		{[]string{"jobs", "--search", "MY SQ"}, []string{id}},
		{[]string{"submit", "square", "--params", `{"numbers":[1,2,3]}`, "--preview"}, []string{"tasks   3\n", "inputs  ", "a task  takes "}},
		{[]string{"submit", "square", "--preview", "--json"}, []string{`"complete": true`, `"task_seconds": `}},
		{[]string{"job", id}, []string{"done", "2 of 2 done", "trusted", "7 bytes of application/json"}},
		{[]string{"job", id, "--json"}, []string{`"state": "done"`}},
		{[]string{"tasks", id}, []string{"Ada"}},
		{[]string{"tasks", id, "--csv"}, []string{"task,volunteer,name", "0,", "Ada"}},
		{[]string{"tasks", id, "--json"}, []string{`"name":"Ada"`}},
		{[]string{"programs"}, []string{"square", "primes", "mandelbrot", "wordcount", "pi", "sleeper", "nqueens"}},
		{[]string{"programs", "--json"}, []string{`"takes_input": true`}},
		{[]string{"run", "nqueens", "--params", `{"n":8}`}, []string{`"solutions":92`}},
		{[]string{"--help"}, []string{"submit", "serve"}},
	} {
		got := g.potluck("", c.args...)
		for _, text := range c.has {
			if !strings.Contains(got.stdout, text) || got.status != 0 {
				t.Errorf("potluck %v has no %q: %+v", c.args, text, got)
			}
		}
	}
	if got := g.potluck("", "jobs", "--search", "cubes"); got.status != 0 || strings.Contains(got.stdout, id) {
		t.Errorf("a search for something else: %+v", got)
	}
	if got := g.potluck("", "delete", id); got.status != 0 || got.stdout != "" {
		t.Errorf("delete: %+v", got)
	}
	if got := g.potluck("", "job", id); got.status != 1 || !strings.Contains(got.stderr, "not known") {
		t.Errorf("a deleted job: %+v", got)
	}
}

// On a grid that others reach, the command line says who it is with a token.
func TestAccounts(t *testing.T) {
	g := start(t, "--behind-proxy", "--anonymous=false")
	admin := filepath.Join(g.Data, "admin-token")
	made := g.potluck("", "token", "create", "--role", "submitter", "--expires", "1h", "--token-file", admin)
	if made.status != 0 {
		t.Fatal(made)
	}
	submitter := write(t, "token", []byte(made.stdout))
	echo := write(t, "echo.wasm", wasmtest.Echo())
	for _, c := range []struct {
		args     []string
		status   int
		out, err string
	}{
		{[]string{"submit", "square"}, 1, "", "potluck token create"},
		{[]string{"submit", "square", "--token", "potluck_nonsense"}, 1, "", "not known here"},
		{[]string{"submit", "square", "--token-file", submitter}, 0, "", ""},
		{[]string{"token", "list", "--token-file", submitter}, 1, "", "only admins"},
		{[]string{"token", "list", "--token-file", admin}, 0, "submitter", ""},
		{[]string{"token", "create", "--role", "king"}, 2, "", "must be one of"},
		{[]string{"approve", echo, "--token-file", submitter}, 1, "", "only admins"},
		{[]string{"approve", echo, "--token-file", admin}, 0, "", ""},
		{[]string{"pardon", "0123456789abcdef", "--token-file", admin}, 1, "", "not in quarantine"},
		{[]string{"approvals", "--server", g.URL}, 0, "\n", ""},
		{[]string{"jobs"}, 0, "square", ""},
	} {
		got := g.potluck("", c.args...)
		if got.status != c.status || !strings.Contains(got.stdout, c.out) || !strings.Contains(got.stderr, c.err) {
			t.Errorf("potluck %v: %+v", c.args, got)
		}
	}
}

// submit --wait shows progress on stderr and gives the result, to stdout or a
// file, of every kind of job.
func TestSubmitAndWait(t *testing.T) {
	g := start(t)
	g.runner("Ada", "--slots", "2")
	echo := write(t, "echo.wasm", wasmtest.Echo())
	text := strings.Repeat("The quick brown fox\njumps over the lazy dog\n", 2000)
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"", []string{"square", "--params", `{"numbers":[3]}`}, "[9]"},
		{"", []string{"square", "--params", "@" + write(t, "params.json", []byte(`{"numbers":[4]}`))}, "[16]"},
		{"", []string{echo, "--split", "range:1:5"}, "12345"},
		{"a\nb\n", []string{echo, "--input", "-", "--arg", "-v", "--arg", "a,b"}, "a\nb\n"},
		{`["x",{"y":1}]`, []string{echo, "--input", "-", "--split", "json"}, `"x"{"y":1}`},
		{text, []string{echo, "--input", "-", "--split", "lines:100"}, text},
		{text, []string{echo, "--input", "-", "--split", "bytes:1000"}, text},
		{"", []string{echo, "--input", write(t, "text", []byte(text)), "--split", "lines:7"}, text},
		{"c b c a b c", []string{"wordcount", "--input", "-"}, "word,count\nc,3\nb,2\na,1\n"},
	} {
		got := g.potluck(c.stdin, append([]string{"submit", "--wait"}, c.args...)...)
		if got.stdout != c.want || got.status != 0 || !strings.Contains(got.stderr, "job ") {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
	for _, command := range []string{"submit", "run"} {
		got := g.potluck("", command, echo, "--split", "range:1:1", "--arg", "fine", "--arg", "\xff\xfe")
		if got.status != 1 || !strings.Contains(got.stderr, `--arg "\xff\xfe", number 2: an argument is text in UTF-8, without NUL`) {
			t.Errorf("%s with an argument that is no text: %+v", command, got)
		}
	}
	got := g.potluck("", "submit", echo, "--wait", "--quiet", "--split", "range:1:3", "--collect", "ndjson")
	if strings.Count(got.stdout, "\n") != 3 || !strings.Contains(got.stdout, `"output":3`) || got.stderr != "" {
		t.Errorf("NDJSON: %+v", got)
	}
	first := strings.TrimSpace(g.potluck("a\nb\n", "submit", echo, "--input", "-").stdout)
	if got := g.potluck("", "submit", echo, "--wait", "--quiet", "--input-of", first); got.stdout != "a\nb\n" {
		t.Errorf("the input of another job: %+v", got)
	}
	view := truth.Picture{Width: 300, Height: 200, Center: [2]float64{-0.5, 0}, Zoom: 1, Iterations: 300}
	wanted, _ := json.Marshal(view)
	file := filepath.Join(t.TempDir(), "picture.png")
	if got := g.potluck("", "submit", "mandelbrot", "--params", string(wanted), "--policy", "trusted", "--wait", "-o", file); got.status != 0 || got.stdout != "" {
		t.Errorf("%+v", got)
	}
	picture, err := os.ReadFile(file)
	if err == nil {
		err = truth.CheckPicture(picture, view)
	}
	if err != nil {
		t.Error(err)
	}
}

// The exit status says what happened, and stderr what to do.
func TestExitStatus(t *testing.T) {
	g := start(t)
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "unknown flag", []string{"submit", "square", "--colour", "red"}},
		{2, "expected", []string{"submit"}},
		{1, "no program is called", []string{"submit", "cold-fusion"}},
		{1, "/numbers", []string{"submit", "square", "--params", `{"numbers":1}`}},
		{1, "--params is not JSON", []string{"submit", "square", "--params", `{`}},
		{1, "no such file", []string{"submit", "nothing.wasm"}},
		{1, "not a WebAssembly module", []string{"submit", write(t, "text.wasm", []byte("hello"))}},
		{1, "strict", []string{"submit", "square", "--policy", "blind"}},
		{1, "there is no job", []string{"submit", "wordcount", "--input-of", "none"}},
		{2, "can't be used together", []string{"submit", "wordcount", "--input", "-", "--input-of", "none"}},
		{1, "not known", []string{"result", "none"}},
		{1, "not known", []string{"cancel", "none"}},
		{1, "connection refused", []string{"jobs", "--server", "http://127.0.0.1:1"}},
		{1, "unreachable", []string{"run", write(t, "trap.wasm", wasmtest.Trap()), "--split", "range:1:2"}},
	} {
		if got := g.potluck("", c.args...); got.status != c.status || !strings.Contains(got.stderr, c.says) || got.stdout != "" {
			t.Errorf("potluck %v: %+v", c.args, got)
		}
	}
	waiting := g.submit(client.NewJob{Program: "square"})
	if got := g.potluck("", "result", waiting.ID, "--partial"); got.status != 1 || !strings.Contains(got.stderr, "there is nothing") || got.stdout != "" {
		t.Errorf("a result before any: %+v", got)
	}
	g.runner("Ada")
	failed := g.potluck("", "submit", write(t, "exit.wasm", wasmtest.Exit(9, "no \x1b[2Jluck")), "--split", "range:1:2", "--wait")
	if failed.status != 3 || !strings.Contains(failed.stderr, "no \uFFFD[2Jluck") {
		t.Errorf("a job that fails: %+v", failed)
	}
	_, id, _ := strings.Cut(failed.stderr, "job ")
	id, _, _ = strings.Cut(id, "\n")
	if got := g.potluck("", "job", id); got.status != 0 || !strings.Contains(got.stdout, "no \uFFFD[2Jluck") || strings.Contains(got.stdout+failed.stderr, "\x1b") {
		t.Errorf("what it wrote reaches the terminal: %+v", got)
	}
	wordy := write(t, "wordy.wasm", wasmtest.Exit(1, strings.Repeat("a program of ours, version 1\n", 100)+"the model\ndoes not converge"))
	for _, command := range [][]string{{"run", "-q"}, {"submit", "--wait", "-q"}} {
		got := g.potluck("17\n", append(command, wordy, "--input", "-")...)
		if !strings.Contains(got.stderr, "task 0") || !strings.Contains(got.stderr, "the model\ndoes not converge; its input: 17\n") {
			t.Errorf("%v says what went wrong: %+v", command, got)
		}
	}
	newest := g.potluck("", "jobs", "--limit", "1", "--state", "failed")
	_, id, _ = strings.Cut(newest.stdout, "\n")
	id, _, _ = strings.Cut(id, " ")
	got := g.potluck("", "job", id)
	for _, text := range []string{"task 0, by", "its input: 17", "the model\n", "does not converge"} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("the job says nothing of %q: %+v", text, got)
		}
	}
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":3,"work":10000}`)})
	if got := g.potluck("", "cancel", j.ID); got.status != 0 || !strings.Contains(got.stdout, "cancelled") {
		t.Errorf("cancel: %+v", got)
	}
	key := []string{"submit", "sleeper", "--params", `{"tasks":3,"work":10000}`, "--key", "once"}
	first, second := g.potluck("", key...), g.potluck("", key...)
	if first.stdout != second.stdout || first.status != 0 {
		t.Errorf("the same key: %+v, %+v", first, second)
	}
	waited := make(chan outcome)
	go func() { waited <- g.potluck("", append(key, "--wait")...) }()
	g.follow(strings.TrimSpace(first.stdout), func(j *client.Job) bool { return j.Tasks.Lent > 0 })
	g.potluck("", "cancel", strings.TrimSpace(first.stdout))
	if got := <-waited; got.status != 4 {
		t.Errorf("a job that is cancelled: %+v", got)
	}
}

// The server says how it is.
func TestHealth(t *testing.T) {
	g := start(t)
	g.runner("Ada", "--until-idle")
	for path, says := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "potluck_workers", "/": "<!doctype html>"} {
		if status, body := g.get(path); status != 200 || !strings.Contains(strings.ToLower(body), says) {
			t.Errorf("%s: %d, %s", path, status, body)
		}
	}
	names := []string{"potluck_jobs_active", "potluck_leases_total", "potluck_ledger_appends_total"}
	_, metrics := g.get("/metrics")
	if missing := slices.DeleteFunc(names, func(n string) bool { return strings.Contains(metrics, n) }); len(missing) > 0 {
		t.Errorf("no metrics %v in\n%s", missing, metrics)
	}
}
