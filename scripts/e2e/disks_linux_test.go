package e2e

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"potluck/client"
)

// A server that cannot open a file fails no job, not even one that has all its
// results: it says what is missing, without a path of its own, and goes on once
// it can.
func TestFilesUsedUp(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	// Enough for what is kept of it to need a file before the end.
	job := client.NewJob{Program: "sleeper", Params: params(`{"tasks":600,"work":5}`)}
	j := g.submit(job)
	var many unix.Rlimit
	limit := func(now, before *unix.Rlimit) {
		if err := unix.Prlimit(g.Server.Process.Pid, unix.RLIMIT_NOFILE, now, before); err != nil {
			t.Fatal(err)
		}
	}
	limit(nil, &many)
	few := false
	j = g.follow(j.ID, func(j *client.Job) bool {
		if !few && j.Tasks.Done > 0 {
			few = true
			limit(&unix.Rlimit{Cur: 1, Max: many.Max}, nil)
		}
		return j.Reason != "" && j.Reason != "waiting for volunteers"
	})
	if j.State != client.JobStateRunning || !strings.Contains(j.Reason, "files") || strings.Contains(j.Reason, "/") {
		t.Errorf("the job is %s: %s", j.State, j.Reason)
	}
	limit(&many, nil)
	g.ended(j.ID, client.JobStateDone)
	undisturbed := g.submit(job)
	g.ended(undisturbed.ID, client.JobStateDone)
	if !bytes.Equal(g.result(j.ID), g.result(undisturbed.ID)) {
		t.Error("the result is not the right one")
	}
}
