package ledger

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/server/ledger/blocks"
)

// A damage is what a disk may do to a file.
type damage struct {
	name, file string
	do         func(r *rand.Rand, data []byte) []byte
}

func flip(r *rand.Rand, data []byte) []byte {
	data[r.IntN(len(data))] ^= 1 << r.IntN(8)
	return data
}

var damages = []damage{
	{"a bit", "msgs/1.blk", flip},
	{"cut short", "msgs/1.blk", func(r *rand.Rand, data []byte) []byte { return data[:r.IntN(len(data))] }},
	{"zeros", "msgs/1.blk", func(_ *rand.Rand, data []byte) []byte { return make([]byte, len(data)) }},
	{"zeros at the end", "msgs/1.blk", func(r *rand.Rand, data []byte) []byte { clear(data[r.IntN(len(data)):]); return data }},
	{"empty", "msgs/1.blk", func(*rand.Rand, []byte) []byte { return nil }},
	{"a bit of meta.inf", "meta.inf", flip},
	{"a bit of the index", "msgs/index.db", flip},
}

func (d damage) to(t *testing.T, r *rand.Rand, dir, bucket string) (undo func()) {
	t.Helper()
	return d.toStream(t, r, dir, "KV_"+bucket)
}

func (d damage) toStream(t *testing.T, r *rand.Rand, dir, stream string) (undo func()) {
	t.Helper()
	file := filepath.Join(dir, "ledger", "jetstream", "$G", "streams", stream, d.file)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, d.do(r, append([]byte(nil), before...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.WriteFile(file, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// times repeats what happens by chance, and says how to have it again.
func times(t *testing.T, n int, do func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	for range n {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		if do(t, rand.New(rand.NewPCG(seed, 0))); t.Failed() {
			return
		}
	}
}

// What is left of a damaged bucket of jobs is there, what is lost is shown as
// damaged, and nothing is deleted because of it.
func TestDamagedJobs(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			times(t, 2, func(t *testing.T, r *rand.Rand) {
				dir, ctx := t.TempDir(), t.Context()
				l := open1(t, Config{Dir: dir})
				was := map[string]*Job{}
				for i := range 6 {
					j := newJob(t, l)
					if err := l.PutObject(ctx, j.ID+".x.inputs.0", strings.NewReader("input")); err != nil {
						t.Fatal(err)
					}
					if _, err := l.UpdateJob(ctx, j.ID, func(j *Job) error { j.Title = fmt.Sprint("job ", i); return nil }); err != nil {
						t.Fatal(err)
					}
					log, _, err := l.OpenResults(ctx, j, nil)
					if err == nil {
						err = log.Append(ctx, [][]byte{[]byte("result")})
					}
					if err != nil {
						t.Fatal(err)
					}
					was[j.ID] = j
				}
				l.Close()
				d.to(t, r, dir, "jobs")
				for range 2 { // it is as good the next time
					l = open1(t, Config{Dir: dir})
					if all := l.Jobs(); len(all) != len(was) {
						t.Errorf("%d jobs instead of %d", len(all), len(was))
					}
					for id, old := range was {
						j, err := l.Job(id)
						if err != nil {
							t.Fatal(err)
						}
						if !j.Damaged && j.Tasks != old.Tasks || j.Damaged && (j.State != Failed || !strings.Contains(j.Reason, "damaged")) {
							t.Errorf("%+v", j)
						}
					}
					if _, err := l.Sweep(ctx); err != nil {
						t.Error(err)
					}
					for id, j := range was {
						if _, err := l.js.Stream(ctx, j.Log); err != nil {
							t.Errorf("the log of %s: %v", id, err)
						}
						if has, err := l.HasObject(ctx, id+".x.inputs.0"); err != nil || !has {
							t.Errorf("the inputs of %s: %v, %v", id, has, err)
						}
					}
					newJob(t, l)
					if err := l.DeleteJob(ctx, l.Jobs()[0].ID); err != nil {
						t.Error(err)
					}
					l.Close()
				}
			})
		})
	}
}

// A job whose record was damaged can be deleted.
func TestDamagedJobIsDeleted(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := open1(t, Config{Dir: dir})
	j := newJob(t, l)
	l.Close()
	damages[2].to(t, nil, dir, "jobs")
	l = open1(t, Config{Dir: dir})
	if got, err := l.Job(j.ID); err != nil || !got.Damaged {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := l.DeleteJob(ctx, j.ID); err != nil {
		t.Error(err)
	}
}

// Without its tokens or its secret a grid does not begin, and says what to do;
// nothing is changed, so that all is well once they are back.
func TestDamagedSecretsStopTheStart(t *testing.T) {
	for _, bucket := range []string{"tokens", "grid"} {
		for _, d := range damages {
			t.Run(bucket+" "+d.name, func(t *testing.T) {
				times(t, 1, func(t *testing.T, r *rand.Rand) {
					dir, ctx := t.TempDir(), t.Context()
					l := open1(t, Config{Dir: dir})
					newJob(t, l)
					secret, err := l.Secret(ctx)
					if err != nil {
						t.Fatal(err)
					}
					token, record := NewToken(RoleAdmin, "Ada", time.Time{})
					if err := l.AddToken(ctx, record); err != nil {
						t.Fatal(err)
					}
					l.Close()
					undo := d.to(t, r, dir, bucket)
					for range 2 {
						l, err := Open(ctx, Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
						if err == nil {
							l.Close()
							t.Fatal("it begins")
						}
						if !strings.Contains(err.Error(), "potluck restore") || !strings.Contains(err.Error(), "KV_"+bucket) {
							t.Error(err)
						}
					}
					undo()
					l = open1(t, Config{Dir: dir})
					if again, err := l.Secret(ctx); err != nil || string(again) != string(secret) {
						t.Errorf("another secret, %v", err)
					}
					if _, err := l.CheckToken(token); err != nil {
						t.Error(err)
					}
					l.Close()
				})
			})
		}
	}
}

// What a server leaves that is killed is not damaged.
func TestKilledIsNotDamaged(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	l := open1(t, Config{Dir: dir})
	for range 50 {
		j := newJob(t, l)
		if _, err := l.UpdateJob(ctx, j.ID, func(j *Job) error { j.Title = "changed"; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := l.DeleteJob(ctx, j.ID); err != nil {
			t.Fatal(err)
		}
	}
	streams, err := filepath.Glob(filepath.Join(dir, "ledger", "jetstream", "*", "streams", "KV_*"))
	if err != nil || len(streams) < 10 {
		t.Fatal(streams, err)
	}
	for _, stream := range streams { // the files as they are while the server runs
		s, err := blocks.Read(stream)
		if err != nil || s.Damage != "" {
			t.Errorf("%s: %+v, %v", stream, s, err)
		}
	}
	// A record that was not written to its end was never acknowledged.
	l.Close()
	file := filepath.Join(dir, "ledger", "jetstream", "$G", "streams", "KV_jobs", "msgs", "1.blk")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, data[:30]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := blocks.Read(filepath.Dir(filepath.Dir(file))); err != nil || s.Damage != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

// The log of a job may be damaged anywhere: what can be read of it counts, its
// owner hears that something is missing, and goes on.
func TestDamagedLog(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			times(t, 2, func(t *testing.T, r *rand.Rand) { d.toLog(t, r) })
		})
	}
}

// The store may still count the messages that a damaged log has lost, also if it
// has lost all of them.
func TestDamagedLogWhoseLossIsStillCounted(t *testing.T) {
	for _, seed := range []uint64{223538199111423078, 6092381807041436571, 2859164245643329366, 158999611405517514} {
		damages[0].toLog(t, rand.New(rand.NewPCG(seed, 0)))
	}
}

// toLog damages the log of a job, and looks at what is left of it.
func (d damage) toLog(t *testing.T, r *rand.Rand) {
	t.Helper()
	dir, ctx := t.TempDir(), t.Context()
	l := open1(t, Config{Dir: dir})
	j := newJob(t, l)
	log, _, err := l.OpenResults(ctx, j, nil)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 20
	for i := range messages {
		if err := log.Append(ctx, [][]byte{fmt.Appendf(nil, "result %d of some length", i)}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	d.toStream(t, r, dir, j.Log)
	l = open1(t, Config{Dir: dir})
	var got []string
	log, damaged, err := l.OpenResults(ctx, j, collectInto(&got))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < messages && !damaged {
		t.Errorf("%d of %d results are there, and nobody hears of it", len(got), messages)
	}
	if err := log.Append(ctx, [][]byte{[]byte("again")}); err != nil {
		t.Error(err)
	}
	l.Close()
	l = open1(t, Config{Dir: dir})
	was := len(got)
	got = nil
	// The store may cut the log off where it is damaged, with what came after: those
	// tasks are computed again. But not in silence.
	_, damaged, err = l.OpenResults(ctx, j, collectInto(&got))
	if err != nil || !damaged && (len(got) <= was || got[len(got)-1] != "again") {
		t.Errorf("%d results after %d, damaged %v, %v", len(got), was, damaged, err)
	}
	l.Close()
}
