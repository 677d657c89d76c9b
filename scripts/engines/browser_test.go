package engines

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/scripts/chrome"
	"potluck/web"
)

// patience is how long a task may take.
const patience = chrome.Patience

// executors is where the pages' executor is, whose name depends on what is in it.
const executors = "../../web/dist/assets/executor-*.js"

//go:embed testdata/engine.html
var enginePage []byte

// A browser runs tasks in a page that asks for one after the other.
type browser struct {
	command *exec.Cmd
	site    *httptest.Server
	said    bytes.Buffer
	next    chan *trial
	given   []*trial
}

// A trial is a task on its way through a browser.
type trial struct {
	number  int
	module  []byte
	task    sandbox.Task
	outcome chan outcome
}

func chromium(flags ...string) func(t *testing.T) engine {
	return func(t *testing.T) engine {
		t.Helper()
		return browse(t, "chromium", append(flags, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+folder(t))...)
	}
}

// firefox does without one of its compilers.
func firefox(without string) func(t *testing.T) engine {
	return func(t *testing.T) engine {
		t.Helper()
		profile := folder(t)
		var preferences bytes.Buffer
		for _, off := range []string{"app.update.enabled", "network.captive-portal-service.enabled", "datareporting.policy.dataSubmissionEnabled", without} {
			fmt.Fprintf(&preferences, "user_pref('%s', false);\n", off)
		}
		if err := os.WriteFile(filepath.Join(profile, "user.js"), preferences.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return browse(t, "firefox-esr", "--headless", "--no-remote", "--profile", profile)
	}
}

func browse(t *testing.T, command string, args ...string) *browser {
	t.Helper()
	b := &browser{next: make(chan *trial)}
	b.site = httptest.NewServer(b.pages())
	b.command = exec.Command(command, append(args, b.site.URL+"/engine")...)
	b.command.Env = append(os.Environ(), "HOME="+folder(t), "MOZ_CRASHREPORTER_DISABLE=1")
	b.command.Stderr = &b.said
	if err := b.command.Start(); err != nil {
		t.Fatalf("start %s (make test installs it): %v", command, err)
	}
	return b
}

func (b *browser) close() {
	_ = b.command.Process.Kill()
	_ = b.command.Wait() // it was killed
	b.site.CloseClientConnections()
	b.site.Close()
}

func (b *browser) pages() http.Handler {
	pages := http.NewServeMux()
	pages.Handle("/", web.Handler())
	pages.HandleFunc("GET /engine", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(enginePage)
	})
	pages.HandleFunc("GET /executor", func(w http.ResponseWriter, _ *http.Request) {
		files, _ := filepath.Glob(executors)
		for _, f := range files {
			_ = json.NewEncoder(w).Encode(map[string]any{"executor": "/assets/" + filepath.Base(f)})
		}
	})
	pages.HandleFunc("GET /next", b.serveNext)
	pages.HandleFunc("GET /module/{number}", b.about(func(t *trial, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(t.module) }))
	pages.HandleFunc("GET /input/{number}", b.about(func(t *trial, w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(t.task.Input) }))
	pages.HandleFunc("POST /outcome/{number}", b.about(take))
	return pages
}

// run hands a task to the page and waits for its outcome.
func (b *browser) run(t *testing.T, module []byte, task sandbox.Task) outcome {
	t.Helper()
	tried := &trial{number: len(b.given), module: module, task: complete(task, module), outcome: make(chan outcome, 1)}
	b.given = append(b.given, tried)
	late := time.After(patience)
	select {
	case b.next <- tried:
	case <-late:
		t.Fatalf("the browser does not ask for a task: %s", &b.said)
	}
	select {
	case o := <-tried.outcome:
		tried.module, tried.task.Input = nil, nil
		return o
	case <-late:
		t.Fatalf("the browser does not end task %d: %s", tried.number, &b.said)
	}
	return outcome{}
}

// serveNext gives the page a task as soon as there is one.
func (b *browser) serveNext(w http.ResponseWriter, r *http.Request) {
	select {
	case t := <-b.next:
		seed := t.task.Seed()
		_ = json.NewEncoder(w).Encode(map[string]any{
			"number": t.number, "args": append([]string{contract.ProgramName}, t.task.Args...), "limit": t.task.Output,
			"seedLow": uint32(seed), "seedHigh": uint32(seed >> 32), "profile": t.task.Module.Profile,
		})
	case <-r.Context().Done():
	case <-time.After(20 * time.Second):
		w.WriteHeader(http.StatusNoContent)
	}
}

func (b *browser) about(serve func(*trial, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.PathValue("number"))
		if err != nil || n < 0 || n >= len(b.given) {
			http.NotFound(w, r)
			return
		}
		serve(b.given[n], w, r)
	}
}

func take(t *trial, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	about := r.URL.Query()
	n, err2 := strconv.Atoi(about.Get("output"))
	if err != nil || err2 != nil || n > len(body) {
		http.Error(w, "an outcome cannot be read", http.StatusBadRequest)
		return
	}
	t.outcome <- outcome{output: body[:n], stderr: body[n:], kind: about.Get("kind"), message: about.Get("message")}
}
