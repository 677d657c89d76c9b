package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// until looks again and again for what gives no sign when it comes.
func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !there(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// onDisk has a test run once more, alone, with a small disk of its own, whose
// folder it gives. The test itself ends here.
func onDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	const name = "POTLUCK_TEST_DISK"
	if dir = os.Getenv(name); dir != "" {
		return dir
	}
	// A namespace of its own: a mount there takes no privileges, and goes with it.
	c := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "sh", "-c", `mount -t tmpfs -o size="$0" none "$`+name+`" && exec "$@"`,
		size, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), name+"="+t.TempDir())
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Errorf("on a disk of its own: %v", err)
	}
	return ""
}

// fillDisk takes a disk's last bytes; what it gives frees them again.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "fill")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for size := 1 << 20; size > 0; { // the last bytes too
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// A store whose disk was full takes everything again once there is room, also
// where a write has failed in the middle, and nothing that it had acknowledged
// is lost.
func TestFullDiskHeals(t *testing.T) {
	dir := onDisk(t, "200m")
	if dir == "" {
		return
	}
	ctx := t.Context()
	l := open1(t, Config{Dir: dir})
	j := newJob(t, l)
	r, _, err := l.OpenResults(ctx, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	write := func() error {
		err := r.Append(ctx, [][]byte{fmt.Appendf(nil, "%d %s", n, strings.Repeat("x", 100<<10))})
		if err == nil {
			n++
		}
		return err
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	for _, sudden := range []bool{false, true} {
		var free func()
		if sudden { // between the look at the disk and the write
			free = fillDisk(t, dir)
			for _, subject := range []string{logSubject(j.Log), "$KV.jobs.other"} {
				soon, cancel := context.WithTimeout(ctx, time.Second) // it would not be answered
				if _, err := l.js.Publish(soon, subject, make([]byte, 100<<10)); err == nil {
					t.Fatal("a full disk took something")
				}
				cancel()
			}
			l.keeper.suspect.Store(true)
		} else {
			free = fillDisk(t, dir)
		}
		if err := write(); !errors.Is(err, ErrDisk) {
			t.Errorf("results on a full disk: %v", err)
		}
		if err := l.PutObject(ctx, j.ID+".x", strings.NewReader("some")); !errors.Is(err, ErrDisk) {
			t.Errorf("an object on a full disk: %v", err)
		}
		if err := l.CreateJob(ctx, &Job{ID: NewID(), State: Running}); !errors.Is(err, ErrDisk) {
			t.Errorf("a job on a full disk: %v", err)
		}
		if err := l.Healthy(ctx); !errors.Is(err, ErrDisk) {
			t.Errorf("the store says it is well: %v", err)
		}
		free()
		at := time.Now()
		until(t, "the store to take something", func() bool { return write() == nil })
		until(t, "the jobs to take something", func() bool {
			_, err := l.UpdateJob(ctx, j.ID, func(j *Job) error { j.Done = n; return nil })
			return err == nil
		})
		until(t, "the store to be well", func() bool { return l.Healthy(ctx) == nil })
		t.Log("it took", time.Since(at))
		secret, token := NewToken(RoleAdmin, "after", time.Time{})
		if err := l.AddToken(ctx, token); err != nil { // it waits for the watcher
			t.Error(err)
		}
		if _, err := l.CheckToken(secret); err != nil {
			t.Error(err)
		}
		newJob(t, l)
	}
	l.Close()
	free := fillDisk(t, dir)
	l = open1(t, Config{Dir: dir}) // it begins, and waits for room
	if err := l.Healthy(ctx); !errors.Is(err, ErrDisk) {
		t.Errorf("the store says it is well: %v", err)
	}
	free()
	got := 0
	_, damaged, err := l.OpenResults(ctx, j, func([]byte) error { got++; return nil })
	if err != nil || damaged || got != n {
		t.Errorf("%d of %d results are there, damaged %v, %v", got, n, damaged, err)
	}
	if all := l.Jobs(); len(all) != 3 {
		t.Errorf("%d jobs are there", len(all))
	}
}

// noise is so many bytes that nobody can guess.
func noise(size int) []byte {
	data := make([]byte, size)
	var seed [32]byte
	_, _ = rand.NewChaCha8(seed).Read(data) // never fails
	return data
}

// Large objects are stored whole, however many come at a time: what is on its way
// to the store is bounded for all of them together.
func TestManyLargeObjectsAreStored(t *testing.T) {
	const objects = 4
	for name, c := range map[string]Config{"embedded": {}, "external": {URL: external(t)}} {
		t.Run(name, func(t *testing.T) {
			l := open1(t, c)
			data := noise(48 << 20)
			var wait sync.WaitGroup
			for i := range objects { // more than the store's queue has room for
				wait.Go(func() {
					if err := l.PutObject(t.Context(), fmt.Sprint(i), bytes.NewReader(data)); err != nil {
						t.Error(err)
					}
				})
			}
			wait.Wait()
			for i := range objects {
				got, err := l.GetObject(t.Context(), fmt.Sprint(i))
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("object %d has %d bytes, %v", i, len(got), err)
				}
			}
			if n := len(l.underway); n > 0 {
				t.Errorf("%d pieces are still on their way", n)
			}
		})
	}
}

// An upload that is cut off leaves nothing behind, and no object.
func TestCutOffUploadLeavesNothing(t *testing.T) {
	l := open1(t, Config{})
	sender := io.MultiReader(bytes.NewReader(noise(1<<20)), broken{io.ErrUnexpectedEOF})
	if err := l.PutUpload(t.Context(), "sender", "", sender); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an upload that its sender cut off: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	server := io.MultiReader(bytes.NewReader(noise(1<<20)), after(cancel), bytes.NewReader(noise(1<<20)))
	if err := l.PutUpload(ctx, "server", "", server); !errors.Is(err, context.Canceled) {
		t.Errorf("an upload that the server cut off: %v", err)
	}
	s, err := l.uploads.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.State.Msgs; n > 0 {
		t.Errorf("%d messages are left", n)
	}
}

// Of an object that several store at the same time one copy stays, and no bytes that
// belong to none.
func TestPutsUnderOneNameLeaveOneObject(t *testing.T) {
	l := open1(t, Config{})
	const puts, chunks = 8, 2
	var all sync.WaitGroup
	for range puts {
		all.Go(func() {
			if err := l.PutObject(t.Context(), "one", bytes.NewReader(noise(chunks*messageSize))); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s, err := l.data.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := s.State.Msgs; n != chunks+1 {
		t.Errorf("%d messages are there, not %d", n, chunks+1)
	}
}

// broken is a reader that fails.
type broken struct{ error }

func (b broken) Read([]byte) (int, error) { return 0, b.error }

// after is an empty reader that does something.
type after func()

func (a after) Read([]byte) (int, error) { a(); return 0, io.EOF }
