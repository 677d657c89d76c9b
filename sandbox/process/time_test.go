//go:build unix

package process

import (
	"syscall"
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
)

// A program has the time that it computes, however long others keep the machine
// busy meanwhile: here it is stopped for most of the time.
func TestTimeIsWhatAProgramComputes(t *testing.T) {
	const limit = time.Second
	pids := make(chan int, 1)
	x := sandbox.NewExecutor(func() sandbox.Child {
		c := Config{}.Spawn()
		pids <- c.(*child).cmd.Process.Pid
		return c
	})
	defer x.Close()
	got := make(chan sandbox.Outcome, 1)
	x.Submit(sandbox.Task{Module: publish(t, wasmtest.Count(60_000_000)), Time: limit}, func(o sandbox.Outcome) { got <- o })
	pid := <-pids
	signal := func(s syscall.Signal, hold time.Duration) <-chan time.Time {
		if err := syscall.Kill(pid, s); err != nil {
			t.Fatal(err)
		}
		return time.After(hold)
	}
	var o sandbox.Outcome
	for o.Elapsed == 0 {
		<-signal(syscall.SIGSTOP, 300*time.Millisecond)
		select {
		case o = <-got:
		case <-signal(syscall.SIGCONT, 5*time.Millisecond):
		}
	}
	if o.Failure != nil || o.Took >= limit || o.Elapsed <= limit {
		t.Errorf("%v; it computed for %v in %v", o.Failure, o.Took, o.Elapsed)
	}
}

// One that computes for longer is ended, and what it took is said.
func TestTimeOverrun(t *testing.T) {
	x := start(t, Config{})
	const limit = 100 * time.Millisecond
	o := runTask(x, sandbox.Task{Module: publish(t, wasmtest.Spin()), Time: limit})
	if o.Failure == nil || o.Failure.Kind != sandbox.Time || o.Took < limit {
		t.Errorf("%v after %v", o.Failure, o.Took)
	}
}
