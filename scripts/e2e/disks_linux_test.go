package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"potluck/client"
)

// A server that cannot open a file fails no job, not even one that has all its
// results: it says what is missing, without a path of its own, and goes on once
// it can.
func TestUsedUpFilesFailNoJob(t *testing.T) {
	g := start(t)
	g.runner("Ada")
	// Enough for what is kept of it to need a file before the end.
	job := client.NewJob{Program: "sleeper", Params: params(`{"tasks":600,"work":5}`), Collect: client.CollectConcat}
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

// onDisk starts a server whose data is on a small disk of its own. What it gives
// is where others see that disk.
func onDisk(t *testing.T, size string) (g *grid, disk string) {
	t.Helper()
	wrapped, data := t.TempDir(), t.TempDir()
	// A namespace of its own: a mount there takes no privileges, and goes with it.
	script := fmt.Sprintf("#!/bin/sh\nexec unshare --map-root-user --mount sh -c 'mount -t tmpfs -o size=%s none %s && exec \"$@\"' sh %s \"$@\"\n",
		size, data, filepath.Join(bin, "potluck"))
	if err := errors.Join(
		os.WriteFile(filepath.Join(wrapped, "potluck"), []byte(script), 0o700),
		os.Symlink(filepath.Join(bin, "potluck-worker"), filepath.Join(wrapped, "potluck-worker")),
	); err != nil {
		t.Fatal(err)
	}
	g = startIn(t, wrapped, data)
	return g, filepath.Join("/proc", strconv.Itoa(g.Server.Process.Pid), "root", data)
}

// A server on a disk that somebody else has filled says so, to those who submit,
// to those who look after it, and on the page of a job that waits. Once there is
// room it goes on by itself.
func TestFullDiskIsSaidAndHeals(t *testing.T) {
	g, disk := onDisk(t, "200m")
	g.runner("Ada")
	j := g.submit(client.NewJob{Program: "sleeper", Params: params(`{"tasks":300,"work":20}`)})
	g.submit(squares) // the program is published
	g.follow(j.ID, func(j *client.Job) bool { return j.Tasks.Done >= 5 })
	fill, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; { // the last bytes too
		if _, err := fill.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	_ = fill.Close()
	waiting := g.follow(j.ID, func(j *client.Job) bool { return strings.Contains(j.Reason, "disk") })
	if waiting.State != client.JobStateRunning {
		t.Errorf("the job is %s: %s", waiting.State, waiting.Reason)
	}
	answer, err := g.CreateJobWithResponse(t.Context(), &client.CreateJobParams{}, squares)
	if err != nil || answer.StatusCode() != http.StatusInsufficientStorage || !bytes.Contains(answer.Body, []byte("disk of the server is full")) {
		t.Errorf("a job on a full disk: %s, %v", answer.Body, err)
	}
	if status, body := g.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "disk") {
		t.Errorf("ready: %d, %s", status, body)
	}
	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	until(t, "the server to be ready", func() bool { status, _ := g.get("/readyz"); return status == http.StatusOK })
	t.Log("it is ready after", time.Since(at))
	g.computed()
	g.ended(j.ID, client.JobStateDone)
}
