package app

import (
	"strings"
	"testing"
	"time"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// An executor that dies again and again on one machine does not fail a job: where
// nobody else is about, the server computes the task itself.
func TestCrashesOfOneMachine(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("one\ntwo\nthree\nfour\n", "trusted")
	ada := g.worker("Ada", 4)
	for range 4 {
		a := ada.result(wire.Result{Lease: ada.leases(1)[0].ID, Failure: &wire.Failure{Kind: "crash", Message: "the executor died"}})
		if a.Status != wire.Pending {
			t.Errorf("a crash is answered with %d: %s", a.Status, a.Reason)
		}
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Tasks.Done != 4 {
		t.Errorf("%s: %s", j.State, j.Reason)
	}
}

// Strangers who all say that a task fails do not fail the job: the server looks,
// and what it finds counts.
func TestStrangersWhoFailEverything(t *testing.T) {
	for _, policy := range []string{"adaptive", "strict:2", "strict:3"} {
		t.Run(policy, func(t *testing.T) {
			g := serve(t, t.TempDir(), nil)
			j := g.echoes("a\nb\nc\nd\ne\nf\n", policy)
			for _, name := range []string{"Mal", "Eve", "Trudy", "Oscar"} {
				w := g.worker(name, 1)
				w.answerOrIdle(func(l wire.Lease) wire.Result {
					return wire.Result{Lease: l.ID, Failure: &wire.Failure{Kind: "exit", Message: "the program exited with code 1"}}
				})
			}
			for _, name := range []string{"Ada", "Bob", "Cyd"} {
				go g.worker(name, 6).echoAll()
			}
			if j = g.ended(j.ID); j.State != api.JobStateDone || g.result(j.ID) != "a\nb\nc\nd\ne\nf\n" {
				t.Errorf("%s: %s", j.State, j.Reason)
			}
		})
	}
}

// A program that fails on every input ends its job with what it wrote, though
// there are only two volunteers, and nobody who is believed.
func TestBrokenProgramWithTwoVolunteers(t *testing.T) {
	for _, policy := range []string{"adaptive", "strict:2"} {
		t.Run(policy, func(t *testing.T) {
			g := serve(t, t.TempDir(), nil)
			broken := g.publish(wasmtest.Exit(1, "no such table"))
			j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: broken, Input: api.Input{Text: strings.Repeat("x\n", 40)}, Policy: policy})
			began := time.Now()
			for _, name := range []string{"Ada", "Bob"} {
				go g.worker(name, 8).failAll("exit", "the program exited with code 1")
			}
			if j = g.ended(j.ID); j.State != api.JobStateFailed || !strings.Contains(j.Reason, "exited with code 1; it wrote: no such table") {
				t.Errorf("%s: %s", j.State, j.Reason)
			}
			t.Logf("after %v", time.Since(began))
		})
	}
}

// What is too much for the server, and has only a stranger's answer, waits and says why.
func TestTaskTooLongForTheServerSaysSo(t *testing.T) {
	g := serve(t, t.TempDir(), func(c *Config) { c.TaskTime = time.Second })
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Spin()), Input: api.Input{Text: "a\n"}, Policy: "adaptive"})
	g.worker("Mal", 1).answer("done\n")
	j = g.await(j.ID, func(j api.Job) bool { return strings.Contains(j.Reason, "too much for the server") })
	if j.State != api.JobStateRunning || !strings.Contains(j.Reason, "a runner's token") {
		t.Errorf("%s: %s", j.State, j.Reason)
	}
}
