package browser

import (
	"bytes"
	"cmp"
	"context"
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
	"potluck/sandbox/process"
	"potluck/sandbox/profile"
	"potluck/sandbox/wasmtest"
	"potluck/web"
)

//go:embed testdata/conformance.html
var conformancePage []byte

// A trial is a case or a probe on its way through a browser.
type trial struct {
	name   string
	task   sandbox.Task
	module []byte
	check  func(output, stderr []byte, kind string) error
}

// A suite serves the trials to a browser and takes the outcomes.
type suite struct {
	t      *testing.T
	trials []trial
	url    string
	done   chan struct{}
	came   int
}

// TestConformance demands of browsers the same bytes as of wazero.
func TestConformance(t *testing.T) {
	for name, browse := range map[string]func(t *testing.T, url string) *exec.Cmd{"Chromium": headlessChromium, "Firefox": headlessFirefox} {
		t.Run(name, func(t *testing.T) {
			s := newSuite(t)
			browser := browse(t, s.url+"/conformance")
			var said bytes.Buffer
			browser.Stderr = &said
			if err := browser.Start(); err != nil {
				t.Fatalf("start %s (make test installs it): %v", name, err)
			}
			t.Cleanup(func() {
				_ = browser.Process.Kill()
				_ = browser.Wait() // it was killed
			})
			select {
			case <-s.done:
			case <-time.After(2 * patience):
				t.Fatalf("after %d of %d trials nothing more came: %s", s.came, len(s.trials), &said)
			}
			if s.came != len(s.trials) {
				t.Errorf("%d outcomes of %d trials", s.came, len(s.trials))
			}
		})
	}
}

func headlessChromium(t *testing.T, url string) *exec.Cmd {
	return exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(), url)
}

func headlessFirefox(t *testing.T, url string) *exec.Cmd {
	profile := t.TempDir()
	quiet := "user_pref('app.update.enabled', false);user_pref('network.captive-portal-service.enabled', false);user_pref('datareporting.policy.dataSubmissionEnabled', false);"
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(quiet), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("firefox-esr", "--headless", "--no-remote", "--profile", profile, url)
	c.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	return c
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{t: t, done: make(chan struct{})}
	for _, c := range wasmtest.Cases() {
		s.add(c.Name, c.Module, sandbox.Task{Args: c.Args, Input: c.Input, Output: c.Limit})
		id := string(s.last().task.Module.ID)
		s.last().check = func(output, stderr []byte, kind string) error { return c.Check(id, output, stderr, kind) }
	}
	for value, kind := range map[int]sandbox.Kind{0: sandbox.Trap, 1: sandbox.Machine} {
		p, err := profile.Cap(wasmtest.GrowFailed(value), wasmtest.MaxMemory)
		s.addPublished(fmt.Sprintf("a failed grow, %d", value), p, err, sandbox.Task{})
		c := wasmtest.Case{Fail: string(kind)}
		s.last().check = func(output, stderr []byte, kind string) error { return c.Check("", output, stderr, kind) }
	}
	s.addProbes()
	pages := http.NewServeMux()
	pages.Handle("/", web.Handler())
	pages.HandleFunc("GET /conformance", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(conformancePage)
	})
	pages.HandleFunc("GET /cases", s.serveCases)
	pages.HandleFunc("GET /module/{i}", s.serve(func(t *trial) []byte { return t.module }))
	pages.HandleFunc("GET /input/{i}", s.serve(func(t *trial) []byte { return t.task.Input }))
	pages.HandleFunc("POST /outcome/{i}", s.take)
	pages.HandleFunc("POST /done", func(http.ResponseWriter, *http.Request) { close(s.done) })
	server := httptest.NewServer(pages)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// addProbes adds the probes; what wazero answers is what they must answer.
func (s *suite) addProbes() {
	x := sandbox.NewExecutor(process.Config{}.Spawn)
	defer x.Close()
	for _, p := range wasmtest.Probes() {
		for _, profile := range sandbox.Profiles {
			s.addProbe(x, p, profile)
		}
	}
}

func (s *suite) addProbe(x *sandbox.Executor, p wasmtest.Probe, profile int) {
	s.t.Helper()
	task := sandbox.Task{Input: []byte("some input"), Module: sandbox.Module{Profile: profile}}
	s.add(fmt.Sprintf("%s under profile %d", p.Name, profile), p.Module, task)
	last := s.last()
	file := filepath.Join(s.t.TempDir(), "module.wasm")
	if err := os.WriteFile(file, last.module, 0o600); err != nil {
		s.t.Fatal(err)
	}
	task.Module = sandbox.Module{ID: last.task.Module.ID, Path: file, Profile: profile}
	want := x.Run(context.Background(), task)
	last.check = func(output, _ []byte, kind string) error {
		if bytes.Equal(output, want.Output) && (kind == "") == (want.Failure == nil) {
			return nil
		}
		return fmt.Errorf("%x, failure %q; wazero: %x, failed: %t", output, kind, want.Output, want.Failure != nil)
	}
}

func (s *suite) add(name string, module []byte, task sandbox.Task) {
	s.t.Helper()
	published, err := profile.Publish(module, wasmtest.MaxMemory)
	s.addPublished(name, published, err, task)
}

func (s *suite) addPublished(name string, published profile.Published, err error, task sandbox.Task) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	task.Module.ID, task.Module.Profile = published.ID, cmp.Or(task.Module.Profile, sandbox.Profile)
	if task.Output == 0 {
		task.Output = sandbox.DefaultOutput
	}
	s.trials = append(s.trials, trial{name: name, task: task, module: published.Module})
}

func (s *suite) last() *trial { return &s.trials[len(s.trials)-1] }

func (s *suite) serveCases(w http.ResponseWriter, _ *http.Request) {
	executors, err := filepath.Glob("../../web/dist/assets/executor-*.js")
	if err != nil || len(executors) != 1 {
		s.t.Errorf("executors: %q, %v", executors, err)
		return
	}
	var cases []map[string]any
	for _, t := range s.trials {
		seed := t.task.Seed()
		cases = append(cases, map[string]any{
			"args": append([]string{contract.ProgramName}, t.task.Args...), "limit": t.task.Output,
			"seedLow": uint32(seed), "seedHigh": uint32(seed >> 32), "profile": t.task.Module.Profile,
		})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"executor": "/assets/" + filepath.Base(executors[0]), "cases": cases})
}

func (s *suite) trial(r *http.Request) *trial {
	i, err := strconv.Atoi(r.PathValue("i"))
	if err != nil || i < 0 || i >= len(s.trials) {
		s.t.Errorf("no trial %q", r.PathValue("i"))
		return &trial{}
	}
	return &s.trials[i]
}

func (s *suite) serve(part func(*trial) []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(part(s.trial(r))) }
}

func (s *suite) take(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
		return
	}
	about := r.URL.Query()
	n, err := strconv.Atoi(about.Get("output"))
	if err != nil || n > len(body) {
		s.t.Errorf("an outcome of %d bytes: %v", len(body), about)
		return
	}
	s.came++
	if t := s.trial(r); t.check != nil {
		if err := t.check(body[:n], body[n:], about.Get("kind")); err != nil {
			s.t.Errorf("%s: %v (%s)", t.name, err, about.Get("message"))
		}
	}
}
