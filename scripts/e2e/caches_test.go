package e2e

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/client"
	"potluck/sandbox"
	"potluck/scripts/localgrid"
)

// squares is a small job of a built-in program.
var squares = client.NewJob{Program: "square", Params: params(`{"numbers":[1,2,3,4,5,6,7,8]}`)}

// computed submits squares and demands that no task of it fails.
func (g *grid) computed() {
	g.t.Helper()
	last := g.ended(g.submit(squares).ID, client.JobStateDone)
	if got := string(g.result(last.ID)); got != "[1,4,9,16,25,36,49,64]" || len(last.Failures) > 0 {
		g.t.Errorf("%s; failures %v", got, last.Failures)
	}
}

// under starts a runner by way of another command.
func (g *grid) under(prefix []string, args ...string) *localgrid.Process {
	g.t.Helper()
	all := append(prefix[1:], filepath.Join(bin, "potluck-worker"), "--server", g.URL, "--identity", "none", "--slots", "1", "--json")
	p, err := g.Run(prefix[0], append(all, args...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	return p
}

// noFailure demands that a runner failed nothing, and how often it spoke of something.
func (g *grid) noFailure(p *localgrid.Process, of string, times int) {
	g.t.Helper()
	p.Stop()
	if status, last := exit(g.t, p); status != 0 || last.Totals.Failed > 0 {
		g.t.Errorf("the runner ended with %d, %+v", status, last.Totals)
	}
	if n := strings.Count(p.Log.String(), of); n != times {
		g.t.Errorf("it says %q %d times instead of %d: %s", of, n, times, p.Log)
	}
}

// A runner with a disk that is full or cannot be written to computes all the
// same, alone on its grid, and says once what is wrong.
func TestRunnerWithoutSpace(t *testing.T) {
	for name, spoil := range map[string]string{
		"full":      `head -c 10000000 </dev/zero >"$0/fill" 2>&-; `,
		"read-only": `mount -o remount,ro "$0"; `,
	} {
		t.Run(name, func(t *testing.T) {
			g, dir := start(t), t.TempDir()
			// A namespace of its own: a mount there takes no privileges, and goes with it.
			script := `mount -t tmpfs -o size=4m none "$0" && mkdir -p "$0/code" "$0/modules"; ` + spoil + `exec "$@"`
			p := g.under([]string{"unshare", "--map-root-user", "--mount", "sh", "-c", script, dir}, "--cache", dir)
			g.computed()
			g.computed()
			of := "kept in memory"
			if name == "read-only" {
				of = "temporary folder"
			}
			g.noFailure(p, of, 1)
		})
	}
}

// A home that is none costs nothing but a word.
func TestWithoutHome(t *testing.T) {
	g := start(t)
	const nowhere = "/proc/nowhere" // not even the superuser can make a folder there
	home := []string{"env", "-u", "XDG_CACHE_HOME", "HOME=" + nowhere}
	p := g.under(home)
	g.computed()
	g.noFailure(p, "temporary folder", 1)
	p = g.under(append(home, "TMPDIR="+nowhere))
	g.computed()
	g.noFailure(p, "there is no folder for a cache", 1)

	t.Setenv("HOME", nowhere)
	t.Setenv("XDG_CACHE_HOME", "")
	answer := g.potluck("", "run", "square", "--params", `{"numbers":[3]}`, "--cache", "")
	if answer.status != 0 || answer.stdout != "[9]" || strings.Count(answer.stderr, "temporary folder") != 1 {
		t.Errorf("%+v", answer)
	}
}

// damages are what may become of a cache.
var damages = map[string]func(t *testing.T, dir string){
	"deleted": func(t *testing.T, dir string) {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	},
	"emptied files":  func(t *testing.T, dir string) { truncate(t, dir, func(int64) int64 { return 0 }) },
	"truncated":      func(t *testing.T, dir string) { truncate(t, dir, func(n int64) int64 { return n / 2 }) },
	"emptied folder": func(t *testing.T, dir string) { truncate(t, dir, func(int64) int64 { return -1 }) },
}

// truncate cuts every file in a folder; -1 removes it.
func truncate(t *testing.T, dir string, to func(int64) int64) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		n++
		if size := to(info.Size()); size >= 0 {
			return os.Truncate(path, size)
		}
		return os.Remove(path)
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files in the cache, %v", n, err)
	}
}

// whole demands that the modules in a cache are what their names say.
func whole(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "modules", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Errorf("no modules in the cache: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || filepath.Base(file) != string(sandbox.Hash(data))+".wasm" {
			t.Errorf("%s is damaged still: %d bytes, %v", file, len(data), err)
		}
	}
}

// killChildren kills the executors of a process, and waits until it has seen
// that: the next ones need the cache.
func killChildren(t *testing.T, p *localgrid.Process) {
	t.Helper()
	for _, pid := range childrenOf(t, p.Process.Pid) {
		child, err := os.FindProcess(pid)
		if err == nil {
			err = child.Kill()
		}
		if err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
	}
	until(t, "the end of its executors", func() bool { return len(childrenOf(t, p.Process.Pid)) == 0 })
}

// Whatever becomes of the cache of a running runner, or of the server, jobs are
// done, no task fails, and the cache is whole afterwards.
func TestDamagedCaches(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			g, dir := start(t), filepath.Join(t.TempDir(), "cache")
			p := g.under([]string{"env"}, "--cache", dir)
			g.computed()
			killChildren(t, p)
			damage(t, dir)
			g.computed()
			whole(t, dir)
			g.noFailure(p, "stopped asking", 0)

			own := filepath.Join(g.Data, "cache")
			killChildren(t, g.Server)
			damage(t, own)
			p = g.under([]string{"env"}, "--cache", dir)
			g.computed()
			whole(t, own)
			g.Server.Stop()
			damage(t, own)
			if err := g.Serve(); err != nil {
				t.Fatal(err)
			}
			g.computed()
			whole(t, own)
			g.noFailure(p, "stopped asking", 0)
		})
	}
}

// A machine that cannot start programs gives its tasks back and says why; the
// job waits for others and fails nowhere. When the trouble is over it computes.
func TestRunnerThatCannotStartPrograms(t *testing.T) {
	g, dir := start(t), t.TempDir()
	binary := filepath.Join(dir, "potluck-worker")
	install := func() {
		data, err := os.ReadFile(filepath.Join(bin, "potluck-worker"))
		if err = errors.Join(err, os.WriteFile(binary+".new", data, 0o700), os.Rename(binary+".new", binary)); err != nil {
			t.Fatal(err)
		}
	}
	install()
	p, err := g.Run(binary, "--server", g.URL, "--identity", "none", "--slots", "2", "--json", "--cache", dir)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the runner to connect", func() bool { return len(said(t, p)) > 0 })
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	trouble := func(n int) bool {
		for _, e := range said(t, p) {
			if e.Event == "trouble" && strings.Contains(e.Reason, "an executor could not be started") {
				n--
			}
		}
		return n <= 0
	}
	j := g.submit(squares)
	until(t, "two troubles", func() bool { return trouble(2) })
	if j = g.follow(j.ID, func(*client.Job) bool { return true }); j.State != client.JobStateRunning || len(j.Failures) > 0 {
		t.Errorf("the job is %s: %s; %v", j.State, j.Reason, j.Failures)
	}
	install()
	if last := g.ended(j.ID, client.JobStateDone); len(last.Failures) > 0 {
		t.Errorf("%v", last.Failures)
	}
	g.noFailure(p, "stopped asking", 0)
}
