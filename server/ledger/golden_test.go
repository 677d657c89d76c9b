package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/profile"
	"potluck/scripts/golden"
	"potluck/server/schedule"
)

// What one release has stored, all later ones read: these tests go through the
// store, as it is written and read.

var (
	at     = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	module = sandbox.ID("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
)

// fullJob has every field, though no job needs all of them.
func fullJob() Job {
	blob := func(name string) Blob { return Blob{Size: 2, Hash: "aa", Inline: []byte("{}"), Object: "job." + name} }
	chunks := func(name string) Chunks {
		return Chunks{Name: "job." + name, Inline: []byte("\x01a\x00"), Firsts: []int{0, 2}, Count: 3}
	}
	return Job{
		ID: "job", Title: "a <title>", Program: "square", Module: module, Args: []string{"-v", "2"},
		Params: blob("try.params"), Split: "lines", Collect: contract.NDJSON, Media: "application/json",
		Policy: "strict:2", Priority: 0.5, Created: at, Owner: "01020304",
		Tasks: 3, Inputs: chunks("try.inputs"), Log: "R_server_log", Largest: 5, Bytes: 9,
		State: Failed, Reason: "three volunteers failed", Finished: at.Add(time.Minute), Done: 2, Mean: 1_500_000,
		Failures: blob("failures"), Result: blob("result"), Records: chunks("records"),
	}
}

// raw gives what a bucket has under a key.
func raw(t *testing.T, bucket jetstream.KeyValue, key string) []byte {
	t.Helper()
	e, err := bucket.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("%s of %s: %v", key, bucket.Bucket(), err)
	}
	return e.Value()
}

// older puts what an older release has written, or a newer one with more in it.
func older(t *testing.T, bucket jetstream.KeyValue, key string, data []byte) {
	t.Helper()
	if _, err := bucket.Put(t.Context(), key, data); err != nil {
		t.Fatal(err)
	}
}

func TestGoldenJob(t *testing.T) {
	first, full := fullJob(), fullJob()
	full.Profile, full.Damaged, full.Alarm, full.Decided = 2, true, true, true
	full.Kept, full.Params.Piece, full.Failures.Piece, full.Result.Piece = 9, 1, 2, 3
	full.OnError, full.Skipped = OnErrorSkip, 1
	full.Skips = Blob{Size: 2, Hash: "aa", Inline: []byte("[]"), Object: "job.skips", Piece: 4}
	golden.Full(t, full)
	for file, want := range map[string]Job{"v1/job.json": first, "v2/job.json": full} {
		t.Run(file, func(t *testing.T) { goldenJob(t, file, want) })
	}
}

func goldenJob(t *testing.T, file string, want Job) {
	t.Helper()
	l := open1(t, Config{})
	made := want
	if err := l.CreateJob(t.Context(), &made); err != nil {
		t.Fatal(err)
	}
	if _, err := l.UpdateJob(t.Context(), want.ID, func(j *Job) error { j.Log = want.Log; return nil }); err != nil {
		t.Fatal(err)
	}
	old := golden.Bytes(t, file, raw(t, l.jobs, want.ID))
	older(t, l.jobs, want.ID, golden.Later(t, old))
	got, err := l.ReadJob(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, *got, want)
}

// same wants two records to be the same, whatever is not stored.
func same[T any](t *testing.T, got, want T) {
	t.Helper()
	a, err := json.Marshal(got)
	b, err2 := json.Marshal(want)
	if err != nil || err2 != nil || !bytes.Equal(a, b) {
		t.Errorf("it is read as\n%s, not as\n%s (%v, %v)", a, b, err, err2)
	}
}

func TestGoldenModule(t *testing.T) {
	first := Module{ID: module, Bytes: 3, Gated: true, Created: at, Owner: "01020304", Manifest: &contract.Manifest{
		Contract: contract.Version, Name: "square", Title: "Squares", Summary: "Squares numbers.", Parameters: json.RawMessage(`{"type":"object"}`),
		Result: "application/json", Stages: []contract.Stage{contract.Map, contract.Reduce}, Split: "lines", Collect: contract.JSON,
	}}
	full := first
	full.Source, full.Profile, full.Report = module, 2, &profile.Report{
		Features: []string{"SIMD"}, Memory: 512 << 20, Tables: 7, Canonical: 61, Grows: 1, Merged: 39146, Start: true,
	}
	golden.Full(t, full)
	for file, want := range map[string]Module{"v1/module.json": first, "v2/module.json": full} {
		t.Run(file, func(t *testing.T) { goldenModule(t, file, want) })
	}
}

func goldenModule(t *testing.T, file string, want Module) {
	t.Helper()
	l := open1(t, Config{})
	if err := l.PutModule(t.Context(), &want, []byte("abc")); err != nil {
		t.Fatal(err)
	}
	old := golden.Bytes(t, file, raw(t, l.modules, string(module)))
	older(t, l.modules, string(module), golden.Later(t, old))
	got, err := l.Module(t.Context(), module)
	if err != nil {
		t.Fatal(err)
	}
	same(t, *got, want)
	if data, err := l.GetObject(t.Context(), string(golden.Bytes(t, "v1/module_object.txt", []byte(moduleObject(module))))); err != nil || string(data) != "abc" {
		t.Errorf("its bytes are %q, %v", data, err)
	}
}

func TestGoldenToken(t *testing.T) {
	l := open1(t, Config{})
	const token = "potluck_01020304_SECRET"
	hash := sha256.Sum256([]byte(token))
	want := Token{
		ID: "01020304", Role: RoleSubmitter, Name: "Ada", Hash: hash[:], Created: at, Expires: at.AddDate(1000, 0, 0), Used: at.Add(time.Hour),
	}
	golden.Full(t, want)
	if err := l.AddToken(t.Context(), &want); err != nil {
		t.Fatal(err)
	}
	old := golden.Bytes(t, "v1/token.json", raw(t, l.tokenBucket, want.ID))

	l = open1(t, Config{})
	older(t, l.tokenBucket, want.ID, golden.Later(t, old))
	if err := l.awaitToken(t.Context(), want.ID, true); err != nil {
		t.Fatal(err)
	}
	got, err := l.CheckToken(token)
	if err != nil {
		t.Fatal(err)
	}
	same(t, *got, want)
}

func TestGoldenVolunteer(t *testing.T) {
	lied := schedule.Did{Lied: true, At: at.UnixMicro() + 1}
	for file, after := range map[string][]schedule.Did{
		"v1/reputation.json": {lied},
		"v2/reputation.json": {lied, {Reinstated: true, At: at.UnixMicro() + 2}, lied},
	} {
		t.Run(file, func(t *testing.T) {
			if r := goldenVolunteer(t, file, after); len(after) > 1 {
				golden.Full(t, r)
			}
		})
	}
}

func goldenVolunteer(t *testing.T, file string, after []schedule.Did) Reputation {
	t.Helper()
	l := open1(t, Config{})
	const id = "0123456789abcdef"
	alias := Alias{Name: "Ada", Team: "Engines"}
	if err := l.SetAlias(t.Context(), id, alias); err != nil {
		t.Fatal(err)
	}
	did := schedule.Did{Right: schedule.Probation + 2, Alone: 3, Failures: 1, At: at.UnixMicro()}
	for _, did := range append([]schedule.Did{did}, after...) {
		if err := l.Behaved(t.Context(), id, did, "a result was wrong"); err != nil {
			t.Fatal(err)
		}
	}
	reputation := l.Reputation(id)
	golden.Full(t, alias)
	oldAlias := golden.Bytes(t, "v1/alias.json", raw(t, l.aliasBucket, id))
	written := raw(t, l.conduct, id)
	if len(after) == 1 { // the first release wanted ten answers
		reputation.Proven = 10
		var err error
		if written, err = json.Marshal(reputation); err != nil {
			t.Fatal(err)
		}
	}
	oldReputation := golden.Bytes(t, file, written)

	l = open1(t, Config{})
	older(t, l.aliasBucket, id, golden.Later(t, oldAlias))
	older(t, l.conduct, id, golden.Later(t, oldReputation))
	heard(t, "the alias", func() bool { return l.Alias(id) == alias })
	heard(t, "the reputation", func() bool { return l.Reputation(id).Standing != 0 })
	same(t, l.Reputation(id), reputation)
	return reputation
}

// heard waits until a watcher has brought something.
func heard(t *testing.T, what string, there func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !there(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s was not read", what)
		}
	}
}

func TestGoldenCredit(t *testing.T) {
	l := open1(t, Config{})
	want := Tally{Finished: at, Credits: []Credit{{Volunteer: "0123456789abcdef", Tasks: 300, Millis: 450_000}}}
	golden.Full(t, want)
	if err := l.PutTally(t.Context(), "job", want); err != nil {
		t.Fatal(err)
	}
	old := golden.Bytes(t, "v1/credit.json", raw(t, l.credit, "job"))

	l = open1(t, Config{})
	older(t, l.credit, "job", golden.Later(t, old))
	heard(t, "the credit", func() bool { return len(l.Leaderboard(time.Time{}, nil)) == 1 })
	if got := l.Leaderboard(at, nil)[0].Credit; got != want.Credits[0] {
		t.Errorf("it is read as %+v", got)
	}
}

func TestGoldenSmallThings(t *testing.T) {
	l := open1(t, Config{})
	const made = "job 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae" // and the hash of the request's body
	if _, err := l.Once(t.Context(), "key", made); err != nil {
		t.Fatal(err)
	}
	if err := l.Approve(t.Context(), module); err != nil {
		t.Fatal(err)
	}
	once := golden.Bytes(t, "v1/idempotency.txt", raw(t, l.keys, "key"))
	approval := golden.Bytes(t, "v1/approval.json", raw(t, l.approvals, string(module)))
	secret := golden.Bytes(t, "v1/secret.hex", bytes.Repeat([]byte{7}, 32))

	l = open1(t, Config{})
	older(t, l.keys, "key", once)
	older(t, l.approvals, string(module), golden.Later(t, approval))
	older(t, l.grid, "lease-key", secret)
	if first, err := l.Once(t.Context(), "key", "another"); err != nil || first != made {
		t.Errorf("the key gives %q, %v", first, err)
	}
	if approved, err := l.Approved(t.Context(), module); err != nil || !approved {
		t.Errorf("approved: %v, %v", approved, err)
	}
	if got, err := l.Secret(t.Context()); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("the secret is %x, %v", got, err)
	}
}

func TestGoldenChunks(t *testing.T) {
	l := open1(t, Config{})
	w := l.NewChunks(t.Context(), "job.inputs")
	items := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 200)}
	for i, item := range items {
		if err := w.Add(item); err != nil {
			t.Fatal(err)
		}
		if i == 1 { // as a megabyte would do
			if err := w.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	index, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	index = golden.Bytes(t, "v1/chunks.json", index)
	var objects [][]byte
	for _, name := range []string{"job.inputs.0", "job.inputs.1"} {
		data, err := l.GetObject(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, golden.Bytes(t, "v1/"+name+".hex", data))
	}

	l = open1(t, Config{})
	for i, data := range objects {
		if err := l.PutObject(t.Context(), c.object(i), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	var old Chunks
	if err := json.Unmarshal(golden.Later(t, index), &old); err != nil {
		t.Fatal(err)
	}
	r := l.OpenChunks(old)
	for i, want := range items {
		if got, err := r.Get(t.Context(), i); err != nil || !bytes.Equal(got, want) {
			t.Errorf("number %d is read as %q, %v", i, got, err)
		}
	}
}

// The messages of a job's log: results, and who owns the job from here on.
func TestGoldenResults(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "server-id"), []byte("server\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open1(t, Config{Dir: dir})
	j := newJob(t, l)
	r, _, err := l.OpenResults(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	records := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 200)}
	if err := r.Append(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.OpenResults(t.Context(), j, func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s, err := l.js.Stream(t.Context(), j.Log)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]byte
	for i, file := range []string{"v1/log_results.hex", "v1/log_owner.hex"} {
		m, err := s.GetMsg(t.Context(), uint64(i)+1)
		if err != nil {
			t.Fatal(err)
		}
		ok, err := unpack(golden.Bytes(t, file, m.Data), func(r []byte) error { got = append(got, r); return nil })
		if !ok || err != nil {
			t.Errorf("%s is read as damaged, or %v", file, err)
		}
	}
	if !slices.EqualFunc(got, records, bytes.Equal) {
		t.Errorf("the log is read as %q", got)
	}
}
