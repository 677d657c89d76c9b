package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func open1(t testing.TB, c Config) *Ledger {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Log = slog.New(slog.DiscardHandler)
	l, err := Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// external starts a NATS server of its own, as an operator would.
func external(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Port: -1, JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the external server does not come up")
	}
	return s.ClientURL()
}

// TestLedger exercises both kinds of store with the same suite.
func TestLedger(t *testing.T) {
	for name, config := range map[string]func(*testing.T) Config{
		"embedded": func(*testing.T) Config { return Config{} },
		"external": func(t *testing.T) Config { return Config{URL: external(t)} },
	} {
		t.Run(name, func(t *testing.T) {
			l := open1(t, config(t))
			t.Run("jobs", func(t *testing.T) { exerciseJobs(t, l) })
			t.Run("blobs", func(t *testing.T) { exerciseBlobs(t, l) })
			t.Run("chunks", func(t *testing.T) { exerciseChunks(t, l) })
			t.Run("results", func(t *testing.T) { exerciseResults(t, l) })
			t.Run("once", func(t *testing.T) { exerciseOnce(t, l) })
			t.Run("modules", func(t *testing.T) { exerciseModules(t, l) })
			t.Run("tokens", func(t *testing.T) { exerciseTokens(t, l) })
			t.Run("approvals", func(t *testing.T) { exerciseApprovals(t, l) })
			t.Run("usage", func(t *testing.T) { exerciseUsage(t, l) })
		})
	}
}

func newJob(t testing.TB, l *Ledger) *Job {
	t.Helper()
	j := &Job{ID: NewID(), State: Running, Tasks: 3}
	if err := l.CreateJob(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	return j
}

func exerciseJobs(t *testing.T, l *Ledger) {
	ctx := t.Context()
	var heard []string
	l.Watch(func(j *Job) { heard = append(heard, string(j.State)) })
	a, b := newJob(t, l), newJob(t, l)
	if all := l.Jobs(); len(all) != 2 || all[0].ID != b.ID {
		t.Fatalf("the newest is not first of %d", len(all))
	}
	// Two servers change a job at the same time: both changes stand.
	stale := *a
	for i := range 5 {
		if _, err := l.UpdateJob(ctx, a.ID, func(j *Job) error { j.Done = i; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	l.table.mu.Lock()
	l.table.jobs[a.ID] = &stale // as if the watcher were behind
	l.table.mu.Unlock()
	got, err := l.UpdateJob(ctx, a.ID, func(j *Job) error { j.State = Paused; return nil })
	if err != nil || got.Done != 4 || got.State != Paused {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := l.UpdateJob(ctx, a.ID, func(j *Job) error { j.Title = strings.Repeat("x", maxRecord); return nil }); err == nil {
		t.Error("a record over the limit was stored")
	}
	if err := l.DeleteJob(ctx, a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Job(a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted job: %v", err)
	}
	if len(heard) == 0 || heard[len(heard)-1] != "" {
		t.Errorf("the watcher heard %q", heard)
	}
}

func exerciseBlobs(t *testing.T, l *Ledger) {
	ctx := t.Context()
	for _, size := range []int{0, 1, inlineLimit, inlineLimit + 1, 3 << 20} {
		want := bytes.Repeat([]byte{7}, size)
		b, err := l.PutBlob(ctx, fmt.Sprintf("job.blob%d", size), bytes.NewReader(want), int64(size), "hash")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := l.ReadBlob(ctx, b); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
	}
	if _, err := l.GetObject(ctx, "nothing"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing object: %v", err)
	}
}

func exerciseChunks(t *testing.T, l *Ledger) {
	ctx := t.Context()
	for _, n := range []int{0, 3, 40_000} {
		w := l.NewChunks(ctx, fmt.Sprintf("job.chunks%d", n))
		for i := range n {
			if err := w.Add(fmt.Appendf(nil, "%0100d", i)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := w.Close()
		if err != nil || c.Count != n {
			t.Fatalf("%+v, %v", c, err)
		}
		r := l.OpenChunks(c)
		for _, i := range []int{0, 1, 2, 10_485, 10_486, 39_999} {
			got, err := r.Get(ctx, i)
			if i >= n {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("number %d of %d: %v", i, n, err)
				}
			} else if string(got) != fmt.Sprintf("%0100d", i) {
				t.Errorf("number %d of %d: %s, %v", i, n, got, err)
			}
		}
	}
}

func collectInto(all *[]string) func([]byte) error {
	return func(b []byte) error { *all = append(*all, string(b)); return nil }
}

// logged is a job with a log that is to be made yet.
func logged(id string) *Job { return &Job{ID: id, Log: "R_test_" + id} }

func exerciseResults(t *testing.T, l *Ledger) {
	ctx := t.Context()
	job := logged(NewID())
	var replayed []string
	first, _, err := l.OpenResults(ctx, job, collectInto(&replayed))
	if err != nil || len(replayed) != 0 {
		t.Fatal(replayed, err)
	}
	large := strings.Repeat("x", 300<<10)
	if err := first.Append(ctx, [][]byte{[]byte("one"), []byte(large), []byte(large), nil}); err != nil {
		t.Fatal(err)
	}
	second, damaged, err := l.OpenResults(ctx, job, collectInto(&replayed))
	if err != nil || damaged {
		t.Fatal(damaged, err)
	}
	if len(replayed) != 4 || replayed[0] != "one" || replayed[2] != large || replayed[3] != "" {
		t.Fatalf("replayed %d records", len(replayed))
	}
	if err := first.Append(ctx, [][]byte{[]byte("from the old owner")}); !errors.Is(err, ErrFenced) {
		t.Errorf("the old owner appended: %v", err)
	}
	if err := second.Append(ctx, [][]byte{[]byte("two")}); err != nil {
		t.Fatal(err)
	}
	// An append whose answer was lost is recognised.
	second.seq--
	if err := second.Append(ctx, [][]byte{[]byte("two")}); err != nil {
		t.Errorf("the same append again: %v", err)
	}
	if err := l.DeleteResults(ctx, job); err != nil {
		t.Fatal(err)
	}
	if err := second.Append(ctx, [][]byte{[]byte("three")}); !errors.Is(err, ErrFenced) {
		t.Errorf("appended to a deleted log: %v", err)
	}
}

func exerciseOnce(t *testing.T, l *Ledger) {
	for _, job := range []string{"a", "b"} {
		if first, err := l.Once(t.Context(), "key", job); err != nil || first != "a" {
			t.Errorf("%s: %s, %v", job, first, err)
		}
	}
	one, err := l.Secret(t.Context())
	two, err2 := l.Secret(t.Context())
	if err != nil || err2 != nil || len(one) != 32 || !bytes.Equal(one, two) {
		t.Errorf("the secret: %x, %x", one, two)
	}
}

func exerciseModules(t *testing.T, l *Ledger) {
	ctx := t.Context()
	for range 2 {
		if err := l.PutModule(ctx, &Module{ID: "abc", Bytes: 4}, []byte("wasm")); err != nil {
			t.Fatal(err)
		}
	}
	m, err := l.Module(ctx, "abc")
	data, err2 := l.ModuleBytes(ctx, "abc")
	if err != nil || err2 != nil || m.Bytes != 4 || string(data) != "wasm" {
		t.Errorf("%+v, %s, %v, %v", m, data, err, err2)
	}
	if _, err := l.Module(ctx, "def"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing module: %v", err)
	}
}

func TestOwnership(t *testing.T) {
	url := external(t)
	a, b := open1(t, Config{URL: url}), open1(t, Config{URL: url})
	ctx := t.Context()
	_, ok, err := a.Own(ctx, "job")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok, err := b.Own(ctx, "job"); ok || err != nil {
		t.Fatal("two owners", err)
	}
	if _, ok, err := a.Own(ctx, "job"); !ok || err != nil {
		t.Fatal("a server that came back does not get its own lease", err)
	}
	again, ok, err := a.Own(ctx, "job")
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	a.Disown(ctx, again)
	if _, ok, err := b.Own(ctx, "job"); !ok || err != nil {
		t.Fatal("a job that was given up is not to be had", err)
	}
}

func TestFullStoreHeals(t *testing.T) {
	l := open1(t, Config{Limit: 24 << 20})
	ctx := t.Context()
	old := newJob(t, l)
	if err := l.PutObject(ctx, old.ID+".result", bytes.NewReader(make([]byte, 8<<20))); err != nil {
		t.Fatal(err)
	}
	r, _, err := l.OpenResults(ctx, logged(NewID()), nil)
	if err != nil {
		t.Fatal(err)
	}
	record := make([]byte, 256<<10)
	for range 200 {
		if err = r.Append(ctx, [][]byte{record}); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("a full store said: %v", err)
	}
	if err := l.PutObject(ctx, "x.y", bytes.NewReader(make([]byte, 4<<20))); !errors.Is(err, ErrFull) {
		t.Errorf("an object in a full store: %v", err)
	}
	if err := l.DeleteJob(ctx, old.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Append(ctx, [][]byte{record}); err != nil {
		t.Errorf("after a job was deleted: %v", err)
	}
}

func TestDamagedRecordIsNoticed(t *testing.T) {
	data := pack(kindResults, [][]byte{[]byte("good"), []byte("soon bad")})
	data[len(data)-1] ^= 1
	var got []string
	ok, err := unpack(data, collectInto(&got))
	if ok || err != nil || len(got) != 1 {
		t.Errorf("ok %v, %v, got %q", ok, err, got)
	}
}

// TestKill kills a process in the middle of appending, again and again: what
// it had acknowledged is there afterwards.
func TestKill(t *testing.T) {
	dir := os.Getenv("POTLUCK_TEST_KILL")
	if dir != "" {
		appendForEver(t, dir)
	}
	dir = t.TempDir()
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), "POTLUCK_TEST_KILL="+dir)
		out, err := child.StdoutPipe()
		if err != nil || child.Start() != nil {
			t.Fatal("the victim does not start", err)
		}
		acknowledged := make([]byte, 200*(round+1))
		if _, err := io.ReadFull(out, acknowledged); err != nil {
			t.Fatal(err)
		}
		_ = child.Process.Kill()
		rest, _ := io.ReadAll(out)
		_ = child.Wait()
		want := len(acknowledged) + len(rest)
		l, err := Open(t.Context(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		_, damaged, err := l.OpenResults(t.Context(), logged(fmt.Sprintf("kill%d", round)), func([]byte) error { got++; return nil })
		if got < want || damaged || err != nil {
			t.Errorf("round %d: %d of %d acknowledged are there, damaged %v, %v", round, got, want, damaged, err)
		}
		l.Close()
	}
}

// appendForEver writes a byte to stdout for every append that is acknowledged.
func appendForEver(t *testing.T, dir string) {
	l, err := Open(t.Context(), Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	streams, _ := filepath.Glob(filepath.Join(dir, "ledger", "jetstream", "*", "streams", "R_test_*"))
	r, _, err := l.OpenResults(t.Context(), logged(fmt.Sprintf("kill%d", len(streams))), nil)
	for err == nil {
		if err = r.Append(t.Context(), [][]byte{[]byte("result")}); err == nil {
			_, err = os.Stdout.WriteString(".")
		}
	}
	t.Fatal(err)
}

func BenchmarkLedger(b *testing.B) {
	l := open1(b, Config{})
	ctx := b.Context()
	b.Run("create job", func(b *testing.B) {
		for b.Loop() {
			newJob(b, l)
		}
	})
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			if _, ok, err := l.Own(ctx, NewID()); !ok {
				b.Fatal(err)
			}
		}
	})
	b.Run("open results", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := l.OpenResults(ctx, logged(NewID()), nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		r, _, _ := l.OpenResults(ctx, logged(NewID()), nil)
		for b.Loop() {
			if err := r.Append(ctx, [][]byte{make([]byte, 100)}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("object", func(b *testing.B) {
		for b.Loop() {
			if err := l.PutObject(ctx, NewID(), bytes.NewReader(make([]byte, 4000))); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A server that was cut off between the end of a job and the end of its log
// clears up when it comes back, and leaves nothing of its spare logs.
func TestSweep(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := open1(t, Config{Dir: dir})
	done, running := newJob(t, l), newJob(t, l)
	if _, err := l.UpdateJob(ctx, done.ID, func(j *Job) error { j.State = Done; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := l.PutObject(ctx, "0000000000000000.inputs.0", strings.NewReader("of a job of 1970")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.js.Publish(ctx, l.uploads.chunks(NewID()), []byte("the first piece of an upload")); err != nil {
		t.Fatal(err)
	}
	if err := l.PutUpload(ctx, "whole", "", strings.NewReader("an upload")); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = open1(t, Config{Dir: dir})
	ended, err := l.Sweep(ctx)
	if err != nil || len(ended) != 1 || ended[0].ID != done.ID {
		t.Fatalf("ended: %v, %v", ended, err)
	}
	if err := l.DeleteResults(ctx, ended[0]); err != nil {
		t.Fatal(err)
	}
	for _, name := range l.oldLogs {
		_, err := l.js.Stream(ctx, name)
		if there := err == nil; there != (name == running.Log) {
			t.Errorf("log %s is there: %v", name, there)
		}
	}
	if has, err := l.HasObject(ctx, "0000000000000000.inputs.0"); has || err != nil {
		t.Errorf("an orphan stays: %v, %v", has, err)
	}
	s, err := l.uploads.stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.State.Msgs; n != 2 { // a piece and what says that it is an object
		t.Errorf("%d messages of uploads are left", n)
	}
}
