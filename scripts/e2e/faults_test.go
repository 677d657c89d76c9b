package e2e

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"potluck/client"
	"potluck/sandbox/wasmtest"
	"potluck/scripts/localgrid"
	"potluck/scripts/truth"
)

// A server that is killed in the middle of a job goes on with it when it is
// started again, and the result is the same; what was acknowledged is not lost.
// Three times in one job, while the runners keep what they have.
func TestServerKilled(t *testing.T) {
	g := start(t)
	const to = 10_000_000
	runners := []*localgrid.Process{g.runner("Ada"), g.runner("Grace")}
	// Numbers of many small tasks, so that results are always under way.
	j := g.submit(client.NewJob{Program: publish(g, wasmtest.Echo()), Input: client.Input{Split: "range:1:300000"}})
	primes := g.submit(client.NewJob{Program: "primes", Params: params(`{"to":%d}`, 20*to)})
	for part := 1; part <= 3; part++ {
		g.follow(j.ID, func(j *client.Job) bool { return 4*j.Tasks.Done >= part*j.Tasks.Total })
		accepted := 0
		for _, r := range runners {
			if all := said(t, r); len(all) > 0 {
				accepted += all[len(all)-1].Totals.Accepted
			}
		}
		g.Server.Kill()
		if err := g.Serve(); err != nil {
			t.Fatal(err)
		}
		var first *client.Job
		g.follow(j.ID, func(j *client.Job) bool { first = j; return j.Tasks.Done > 0 })
		if first.State == client.JobStateRunning && first.Tasks.Done+20 < accepted {
			t.Errorf("%d results were acknowledged, but after kill %d there are %d", accepted, part, first.Tasks.Done)
		}
	}
	g.ended(j.ID, client.JobStateDone)
	var want strings.Builder
	for i := 1; i <= 300_000; i++ {
		want.WriteString(itoa(i))
	}
	if got := g.result(j.ID); string(got) != want.String() {
		t.Errorf("the result has %d bytes instead of %d, or others", len(got), want.Len())
	}
	if n := len(g.tasks(j.ID)); n != 300_000 {
		t.Errorf("%d records", n)
	}
	g.ended(primes.ID, client.JobStateDone)
	if err := truth.CheckNumber(g.result(primes.ID), "count", 11_078_937); err != nil {
		t.Error(err)
	}
	for _, r := range runners {
		r.Stop()
		if status, last := exit(t, r); status != 0 || last.Totals.Rejected > 0 {
			t.Errorf("a runner ended with %d: %+v", status, last)
		}
	}
}

// What a killed runner had is lent to others at once.
func TestRunnerKilled(t *testing.T) {
	g := start(t)
	ada, grace := g.runner("Ada"), g.runner("Grace")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":40,"work":300}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done >= 5 && j.Tasks.Lent >= 2 })
	grace.Kill()
	if last := g.ended(j.ID, client.JobStateDone); last.Tasks.Done != 40 {
		t.Errorf("%+v", last.Tasks)
	}
	if by := g.by(j.ID); by["Ada"]+by["Grace"] != 40 || by["Ada"] == 0 {
		t.Errorf("who did it: %v", by)
	}
	ada.Stop()
}

// Under strict:2 every task is computed by two volunteers, who agree though
// one runs the compiler's code in another process than the other.
func TestQuorum(t *testing.T) {
	g := start(t, "--referee-share", "1")
	g.runner("Ada")
	g.runner("Grace", "--slots", "2")
	if err := g.Establish(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	j := g.submit(client.NewJob{Program: "pi", Params: params(`{"samples":80000000}`), Policy: "strict:2"})
	g.ended(j.ID, client.JobStateDone)
	for _, task := range g.tasks(j.ID) {
		if len(task.Volunteers) != 2 || task.Volunteers[0].ID == task.Volunteers[1].ID {
			t.Errorf("task %d: %+v", task.Task, task.Volunteers)
		}
	}
}

// A signal to the whole group, as a terminal sends it on Ctrl-C, ends a runner in
// good order: what it computes is finished.
func TestRunnerInterrupted(t *testing.T) {
	g := start(t)
	ada := g.runner("Ada", "--slots", "2")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":8,"work":2000}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 0 }) // the next ones are being computed
	for _, pid := range append(childrenOf(t, ada.Process.Pid), ada.Process.Pid) {
		p, err := os.FindProcess(pid)
		if err == nil {
			err = p.Signal(os.Interrupt)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	status, last := exit(t, ada)
	if status != 0 || last.Totals.Failed > 0 || last.Totals.Accepted < 2 {
		t.Errorf("%d, %+v", status, last)
	}
}

// A runner that is told to end gives its leases back, or finishes them.
func TestRunnerStopped(t *testing.T) {
	g := start(t)
	ada := g.runner("Ada", "--grace", "1ms")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":3,"work":10000,"seed":3}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent > 0 })
	ada.Stop()
	if status, last := exit(t, ada); status != 0 || last.Event != "ended" {
		t.Errorf("%d, %+v", status, last)
	}
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 0 && j.Tasks.Waiting > 0 })
	if answer := g.potluck("", "cancel", j.ID); answer.status != 0 {
		t.Error(answer)
	}

	j = g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":40,"work":1000}`)})
	grace := g.runner("Grace")
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done > 0 }) // the next one computes
	grace.Stop()                                                         // with the usual grace: it is finished, the others go back
	if status, last := exit(t, grace); status != 0 || last.Totals.Accepted < 2 || last.Totals.Accepted == 40 {
		t.Errorf("%d, %+v", status, last)
	}
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent == 0 && j.Tasks.Waiting > 0 })
}

// A server that is stopped in good order sends its workers away, and they come
// back to the next one with what they have.
func TestServerStopped(t *testing.T) {
	g := start(t)
	ada := g.runner("Ada")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":20,"work":300}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done >= 3 })
	g.Server.Stop()
	if code := g.Server.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server ended with %d: %s", code, g.Server.Log)
	}
	if err := g.Serve(); err != nil {
		t.Fatal(err)
	}
	g.ended(j.ID, client.JobStateDone)
	ada.Stop()
	if _, last := exit(t, ada); last.Totals.Computed != 20 || last.Totals.Accepted != 20 {
		t.Errorf("work was lost or done twice: %+v", last.Totals)
	}
}

// Runners end by themselves when told so.
func TestRunnerOptions(t *testing.T) {
	g := start(t)
	if status, last := exit(t, g.runner("Ada", "--until-idle")); status != 0 || last.Totals.Computed != 0 {
		t.Errorf("without work: %d, %+v", status, last)
	}
	if status, _ := exit(t, g.runner("Ada", "--max-time", "1s")); status != 0 {
		t.Errorf("after its time: %d", status)
	}
	j := g.submit(client.NewJob{Program: "square", Params: params(`{"numbers":[1,2,3,4,5]}`)})
	if status, last := exit(t, g.runner("Ada", "--max-tasks", "2")); status != 0 || last.Totals.Accepted != 2 {
		t.Errorf("after its tasks: %d, %+v", status, last)
	}
	if status, last := exit(t, g.runner("Grace", "--until-idle", "--slots", "3")); status != 0 || last.Totals.Accepted != 3 {
		t.Errorf("the rest: %d, %+v", status, last)
	}
	if got := string(g.result(j.ID)); got != "[1,4,9,16,25]" {
		t.Errorf("squares: %s", got)
	}
	if by := g.by(j.ID); by["Ada"] != 2 || by["Grace"] != 3 {
		t.Errorf("who did it: %v", by)
	}
}

// Runners with one identity are one volunteer, over their starts too. He can
// take their name back.
func TestIdentity(t *testing.T) {
	g := start(t)
	identity := filepath.Join(t.TempDir(), "identity")
	j := g.submit(client.NewJob{Program: "square", Params: params(`{"numbers":[1,2]}`)})
	for range 2 {
		if status, _ := exit(t, g.runner("Ada", "--identity", identity, "--max-tasks", "1")); status != 0 {
			t.Fatalf("a runner ended with %d", status)
		}
	}
	g.ended(j.ID, client.JobStateDone)
	if by := g.by(j.ID); by["Ada"] != 2 {
		t.Errorf("who did it: %v", by)
	}
	if status, _ := exit(t, g.runner("Ada", "--identity", identity, "--erase")); status != 0 {
		t.Errorf("erasing ended with %d", status)
	}
	if by := g.by(j.ID); by[""] != 2 {
		t.Errorf("who did it, without the name: %v", by)
	}
	if status, _ := exit(t, g.runner("Ada", "--erase")); status != 1 {
		t.Errorf("erasing nobody ended with %d", status)
	}
}

// A closed grid refuses runners without a token of theirs.
func TestToken(t *testing.T) {
	g := start(t, "--closed")
	made := g.potluck("", "token", "create", "--role", "runner", "--name", "machine room")
	if made.status != 0 || !strings.HasPrefix(made.stdout, "potluck_") {
		t.Fatal(made)
	}
	token := write(t, "token", []byte(made.stdout))
	if status, _ := exit(t, g.runner("Eve")); status != 3 {
		t.Errorf("without the token: %d", status)
	}
	if status, _ := exit(t, g.runner("Eve", "--token", "guess")); status != 3 {
		t.Errorf("with another: %d", status)
	}
	if status, _ := exit(t, g.runner("Ada", "--token-file", token, "--until-idle")); status != 0 {
		t.Errorf("with the token: %d", status)
	}
	id := strings.Split(made.stdout, "_")[1]
	if list := g.potluck("", "token", "list"); !strings.Contains(list.stdout, id) || !strings.Contains(list.stdout, "machine room") {
		t.Errorf("the list: %+v", list)
	}
	if revoked := g.potluck("", "token", "revoke", id); revoked.status != 0 {
		t.Errorf("revoke: %+v", revoked)
	}
	if status, _ := exit(t, g.runner("Ada", "--token-file", token)); status != 3 {
		t.Errorf("with a revoked token: %d", status)
	}
}

// Programs that misbehave fail their own jobs, with a reason, on the runners
// that go on with everybody else's.
func TestBadPrograms(t *testing.T) {
	g := start(t, "--task-time", "1s", "--task-output", "1048576")
	runner := g.runner("Ada", "--slots", "2")
	for name, c := range map[string]struct {
		module []byte
		says   string
	}{
		"traps":    {wasmtest.Trap(), "unreachable"},
		"spins":    {wasmtest.Spin(), "longer than 3s"}, // the referee has three times as long
		"floods":   {wasmtest.Flood(), "more than 1048576 bytes"},
		"recurses": {wasmtest.Recurse(), "stack overflow"},
		"exits":    {wasmtest.Exit(3, "no luck"), "no luck"},
	} {
		bad := g.submit(client.NewJob{Program: publish(g, c.module), Input: client.Input{Split: "range:1:3"}})
		good := g.submit(client.NewJob{Program: "square"})
		if j := g.ended(bad.ID, client.JobStateFailed); !strings.Contains(j.Reason, c.says) || len(j.Failures) == 0 {
			t.Errorf("a program that %s: %q, %+v", name, j.Reason, j.Failures)
		}
		g.ended(good.ID, client.JobStateDone)
	}
	// One that eats memory gets what it may have and no more.
	hog := g.submit(client.NewJob{Program: publish(g, wasmtest.Hog()), Input: client.Input{Split: "range:1:1"}})
	g.ended(hog.ID, client.JobStateDone)
	// 1 page of 64 KiB and 16 more at a time, up to 512 MiB.
	if pages := binary.LittleEndian.Uint32(g.result(hog.ID)); pages != 1+511*16 {
		t.Errorf("it got %d pages", pages)
	}
	runner.Stop()
	if status, _ := exit(t, runner); status != 0 {
		t.Errorf("the runner ended with %d", status)
	}
}

// Two servers on one store are one grid: a job that was submitted to one is
// computed at the other, and goes on when the one that has it is killed.
func TestExternalStore(t *testing.T) {
	store, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	store.Start()
	t.Cleanup(func() { store.Shutdown(); store.WaitForShutdown() }) // after the servers, which would wait for it
	if !store.ReadyForConnections(patience) {
		t.Fatal("the store does not come up")
	}
	one := start(t, "--nats", store.ClientURL())
	j := one.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":40,"work":100}`)})
	two := start(t, "--nats", store.ClientURL())
	two.runner("Ada")
	two.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done >= 5 })
	one.Server.Kill()
	two.ended(j.ID, client.JobStateDone)
	if by := two.by(j.ID); by["Ada"] != 40 {
		t.Errorf("who did it: %v", by)
	}
}

// A server refuses a folder that another is using, rather than destroy it.
func TestTwoServersOneFolder(t *testing.T) {
	g := start(t)
	if other, err := localgrid.Start(bin, g.Data); err == nil {
		other.Close()
		t.Error("two servers serve one folder")
	} else if !strings.Contains(err.Error(), "another") {
		t.Error(err)
	}
}

// Nothing is left running when a server or a runner is killed: executors end
// with their parent.
func TestNoOrphans(t *testing.T) {
	g := start(t)
	runner := g.runner("Ada")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":2,"work":10000}`)})
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Lent > 0 })
	var children []int
	until(t, "an executor", func() bool { children = childrenOf(t, runner.Process.Pid); return len(children) > 0 })
	runner.Kill()
	for _, pid := range children {
		executor, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "the end of an executor without its runner", func() bool { return executor.Signal(syscall.Signal(0)) != nil })
	}
}
