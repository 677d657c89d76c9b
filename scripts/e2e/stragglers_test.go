//go:build !windows

package e2e

import (
	"context"
	"crypto/rand"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/client"
	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/localgrid"
	"potluck/wire"
)

// naps is a job of tasks of some tenths of a second, under a policy.
func naps(policy string) client.NewJob {
	return client.NewJob{Program: "sleeper", Params: params(`{"tasks":32,"work":200,"seed":5}`), Policy: policy}
}

// freeze stops processes until the end of the test.
func freeze(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have been killed
		}
	})
}

// idle waits until a runner has asked for work and there was none.
func idle(t *testing.T, p *localgrid.Process) {
	t.Helper()
	until(t, "a runner to be idle", func() bool {
		return slices.ContainsFunc(said(t, p), func(e event) bool { return e.Event == "idle" })
	})
}

// holds waits until a volunteer computes something of a job and has done some of
// it, so that it is known how long a task takes.
func (g *grid) holds(name, job string) {
	g.t.Helper()
	g.follow(job, func(j *client.Job) bool { return j.Tasks.Done >= 8 })
	until(g.t, name+" to have a lease", func() bool {
		page, err := g.ListTasksWithResponse(g.t.Context(), job, &client.ListTasksParams{All: true, Limit: 1000})
		if err != nil || page.JSON200 == nil {
			g.t.Fatal(err)
		}
		return slices.ContainsFunc(page.JSON200.Tasks, func(task client.Task) bool {
			return task.State == "computing" && slices.ContainsFunc(task.Volunteers, func(v client.Voter) bool { return v.Name == name })
		})
	})
}

// endsSoon waits for the end of a job of which somebody held leases and said
// nothing from a time on. The others are never without work for longer than it
// takes until a replica is due. What is promised of an idle machine is seconds,
// and is logged; a busy one, on which runners of the lowest priority starve, has
// 45. Without replicas of what is queued behind a stalled lease it was 75 s.
func (g *grid) endsSoon(job string, since time.Time) {
	g.t.Helper()
	last := g.ended(job, client.JobStateDone)
	var took []int64
	accepted := []time.Time{since, last.Finished}
	for _, task := range g.tasks(job) {
		took = append(took, task.Volunteers[0].Ms)
		if task.Accepted.After(since) {
			accepted = append(accepted, task.Accepted)
		}
	}
	var sum int64
	for _, ms := range took {
		sum += ms
	}
	mean := time.Duration(sum/int64(len(took))) * time.Millisecond
	longest := time.Duration(slices.Max(took)) * time.Millisecond
	slices.SortFunc(accepted, time.Time.Compare)
	var pause time.Duration
	for i, at := range accepted[1:] {
		pause = max(pause, at.Sub(accepted[i]))
	}
	g.t.Logf("the longest time without a result: %v; tasks take %v, at most %v", pause, mean, longest)
	if limit := max(45*time.Second, 5*(max(2*time.Second, 4*mean)+longest)); pause > limit {
		g.t.Errorf("nothing was accepted for %v, of tasks that take %v, at most %v: want at most %v", pause, mean, longest, limit)
	}
}

// A runner that is stopped with leases delays the end by little; so do its
// executors alone, while the runner itself still answers pings.
func TestFrozenRunner(t *testing.T) {
	for name, whole := range map[string]bool{"the runner": true, "only its executors": false} {
		t.Run(name, func(t *testing.T) {
			g := start(t)
			ada, grace := g.runner("Ada"), g.runner("Grace")
			idle(t, ada)
			idle(t, grace) // else Ada alone may have done all
			j := g.submit(naps("trusted"))
			g.holds("Grace", j.ID)
			pids := childrenOf(t, grace.Process.Pid)
			if whole {
				pids = []int{grace.Process.Pid}
			}
			since := time.Now()
			freeze(t, pids...)
			g.endsSoon(j.ID, since)
		})
	}
}

// A runner that is stopped before it gets its first leases holds a task for each
// of its slots, and not for long.
func TestFrozenFromTheStart(t *testing.T) {
	g := start(t)
	grace := g.runner("Grace", "--slots", "8")
	idle(t, grace)
	freeze(t, grace.Process.Pid)
	j := g.submit(naps("trusted"))
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 8 })
	since := time.Now()
	g.runner("Ada")
	g.endsSoon(j.ID, since)
}

// A laptop whose connection is half open, as when it sleeps, delays the end by
// little.
func TestHalfOpenConnection(t *testing.T) {
	g := start(t)
	ada := g.runner("Ada")
	url, cut := deafProxy(t, strings.TrimPrefix(g.URL, "http://"))
	grace, err := g.Run(bin+"/potluck-worker", "--server", "http://"+url, "--identity", "none", "--name", "Grace", "--slots", "1", "--cache", t.TempDir(), "--json")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(grace.Kill) // else it waits for its connection
	idle(t, ada)
	idle(t, grace)
	j := g.submit(naps("trusted"))
	g.holds("Grace", j.ID)
	since := time.Now()
	cut()
	g.endsSoon(j.ID, since)
}

// deafProxy passes connections on until cut is called; from then on it reads what
// comes and passes nothing on, either way, and closes nothing.
func deafProxy(t *testing.T, to string) (address string, cut func()) {
	t.Helper()
	var deaf atomic.Bool
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	pass := func(from, to net.Conn) {
		buffer := make([]byte, 64<<10)
		for {
			n, err := from.Read(buffer)
			if err == nil && !deaf.Load() {
				_, err = to.Write(buffer[:n])
			}
			if err != nil {
				_ = to.Close() // one side has ended
				return
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return // the test has ended
			}
			if deaf.Load() {
				continue
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go pass(near, far)
			go pass(far, near)
		}
	}()
	return listener.Addr().String(), func() { deaf.Store(true) }
}

// An established volunteer that asks for a million leases and answers none
// delays the end by little.
func TestHoarder(t *testing.T) {
	g := start(t)
	eve := g.dial("Eve", 1024)
	g.runner("Ada")
	g.runner("Grace")
	echo := g.submit(client.NewJob{Program: publish(g, wasmtest.Echo()), Input: client.Input{Split: "range:1:2000"}, Policy: "adaptive"})
	until(t, "Eve to be established", func() bool {
		answer, err := g.GetVolunteerWithResponse(t.Context(), eve.volunteer)
		if err != nil {
			t.Fatal(err)
		}
		return answer.JSON200 != nil && answer.JSON200.Trust == client.VolunteerTrustEstablished
	})
	g.ended(echo.ID, client.JobStateDone)
	eve.silent.Store(true)
	j := g.submit(naps("adaptive"))
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent >= 20 })
	since := time.Now()
	g.endsSoon(j.ID, since)
}

// A stranger is a worker that speaks the protocol and echoes its inputs, until it
// is silent.
type stranger struct {
	volunteer string
	silent    atomic.Bool
}

// dial connects a stranger with so many slots and a credit of a million.
func (g *grid) dial(name string, slots int) *stranger {
	g.t.Helper()
	conn, _, err := websocket.Dial(g.t.Context(), "ws"+strings.TrimPrefix(g.URL, "http")+wire.SocketPath, nil) //nolint:bodyclose // the library closes it
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(wire.MaxMessage)
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	s := &stranger{volunteer: wire.VolunteerID(secret)}
	say := func(m wire.FromWorker) error {
		data, err := wire.Encode(m)
		if err != nil {
			return err
		}
		return conn.Write(g.t.Context(), websocket.MessageBinary, data)
	}
	if err := say(wire.FromWorker{Credit: 1_000_000, Hello: &wire.Hello{Protocol: wire.Protocol, Name: name, Secret: secret, Slots: slots, Profiles: sandbox.Profiles}}); err != nil {
		g.t.Fatal(err)
	}
	go func() {
		for {
			_, data, err := conn.Read(g.t.Context())
			var m wire.ToWorker
			if err != nil || wire.Decode(data, &m) != nil {
				return // the test has ended
			}
			if answer := echoed(m.Batches); len(answer.Results) > 0 && !s.silent.Load() && say(answer) != nil {
				return
			}
		}
	}()
	return s
}

// echoed answers leases with their inputs.
func echoed(batches []wire.Batch) (m wire.FromWorker) {
	for _, b := range batches {
		for _, l := range b.Leases {
			m.Results = append(m.Results, wire.Result{Lease: l.ID, Output: l.Input, Micros: 20})
		}
	}
	return m
}
