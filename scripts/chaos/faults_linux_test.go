package chaos

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"potluck/client"
)

// A fault is something bad that happens. It is over when strike returns, and
// strike says since when: a server that was killed has begun again by then.
type fault struct {
	what   string
	strike func(*grid) (over time.Time)
}

// faults are those of the plan, in an order and of a length that the seed chooses.
func (g *grid) faults() (all []fault) {
	add := func(n int, what string, strike func(*grid) time.Time) {
		for range n {
			all = append(all, fault{what, strike})
		}
	}
	add(g.plan.killServer, "the server is killed", (*grid).killServer)
	add(g.plan.fullDisk, "the disk is full", (*grid).fillDisk)
	for range g.plan.killRunner {
		name := names[g.rand.IntN(len(names))]
		add(1, name+"'s runner is killed", func(g *grid) time.Time { return g.killRunner(name) })
	}
	for range g.plan.stop {
		d := g.lasts(g.plan.stopped)
		add(1, fmt.Sprintf("the server is stopped for %v", d), func(g *grid) time.Time { return g.stop(d) })
	}
	for range g.plan.noFiles {
		d := g.lasts(g.plan.without)
		add(1, fmt.Sprintf("the server can open no file for %v", d), func(g *grid) time.Time { return g.noFiles(d) })
	}
	g.rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// lasts chooses how long a fault lasts, at least half of the most.
func (g *grid) lasts(most time.Duration) time.Duration {
	return (most/2 + time.Duration(g.rand.Int64N(int64(most)/2))).Round(time.Millisecond)
}

// killServer kills the server as a power failure would, and starts it again.
func (g *grid) killServer() (over time.Time) {
	g.t.Helper()
	g.Server.Kill()
	over = time.Now()
	if err := g.Serve(); err != nil {
		g.t.Fatal(err)
	}
	return over
}

// killRunner kills a runner with all that it holds, and starts it again.
func (g *grid) killRunner(name string) (over time.Time) {
	g.t.Helper()
	g.runners[name].Kill()
	g.runner(name)
	return time.Now()
}

// stop suspends the server, as a virtual machine is.
func (g *grid) stop(d time.Duration) (over time.Time) {
	g.t.Helper()
	g.signal(syscall.SIGSTOP)
	<-time.After(d)
	g.signal(syscall.SIGCONT)
	return time.Now()
}

func (g *grid) signal(s syscall.Signal) {
	g.t.Helper()
	if err := g.Server.Process.Signal(s); err != nil {
		g.t.Fatal(err)
	}
}

// noFiles has the server open no file and take no connection for a while.
func (g *grid) noFiles(d time.Duration) (over time.Time) {
	g.t.Helper()
	var usual unix.Rlimit
	limit := func(now, before *unix.Rlimit) {
		if err := unix.Prlimit(g.Server.Process.Pid, unix.RLIMIT_NOFILE, now, before); err != nil {
			g.t.Fatal(err)
		}
	}
	limit(nil, &usual)
	limit(&unix.Rlimit{Cur: 1, Max: usual.Max}, nil)
	<-time.After(d)
	limit(&usual, nil)
	return time.Now()
}

// fillDisk fills the server's disk until the job says that it waits for it.
func (g *grid) fillDisk() (over time.Time) {
	g.t.Helper()
	fill, err := os.Create(filepath.Join(g.Data, "fill"))
	if err != nil {
		g.t.Fatal(err)
	}
	for size := 1 << 20; size > 0; { // the last bytes too
		if _, err := fill.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	_ = fill.Close()
	g.follow(func(j *client.Job) bool { return strings.Contains(j.Reason, "disk") })
	if err := os.Remove(fill.Name()); err != nil {
		g.t.Fatal(err)
	}
	return time.Now()
}

// disk makes a small disk that outlives servers, and says where it is.
func disk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	// A namespace of its own: a mount there takes no privileges. It goes with the
	// process that holds it, which ends with its input.
	holder := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c", `mount -t tmpfs -o size=256m none "$0" && echo mounted && exec cat`, dir)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder.Stderr = os.Stderr
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = holder.Wait() // it has served
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("mount a disk: %q, %v", line, err)
	}
	return fmt.Sprintf("/proc/%d/root%s", holder.Process.Pid, dir)
}
