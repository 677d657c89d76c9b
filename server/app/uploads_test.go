package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/server/ledger"
	"potluck/wire"
)

// upload sends an output over HTTP, for a worker's lease.
func (g *grid) upload(w *worker, l wire.Lease, output []byte) (hash []byte, status int, body []byte) {
	g.t.Helper()
	sum := sha256.Sum256(output)
	status, _, body = g.request("PUT", fmt.Sprintf(wire.OutputPath, w.job, hex.EncodeToString(sum[:])), output,
		wire.LeaseHeader, hex.EncodeToString(l.ID), wire.VolunteerHeader, w.id)
	return sum[:], status, body
}

// keys counts what a bucket of the store has.
func (g *grid) keys(bucket string) int {
	g.t.Helper()
	js, err := jetstream.New(g.ledger.Conn())
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := js.Stream(g.t.Context(), bucket)
	if err != nil {
		g.t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// A key is kept when a job is made with it, and not for what is refused: what
// makes no sense, comes too often, or cannot be split.
func TestRefusedJobsKeepNoKeys(t *testing.T) {
	g := servePublic(t, nil)
	for i, body := range []string{
		``, `{`, `{"program":"none"}`, `{"program":"square","params":{"numbers":"x"}}`, `{"program":"square","policy":"blind"}`,
		`{"program":"square","priority":2}`, `{"program":"wordcount"}`,
	} {
		if status, _, answer := g.request("POST", "/api/v1/jobs", []byte(body), "Idempotency-Key", fmt.Sprint(i)); status < 400 || status > 499 {
			t.Errorf("%s: %d, %s", body, status, answer)
		}
	}
	if n := g.keys("KV_idempotency"); n != 0 {
		t.Errorf("%d keys are kept of jobs that were refused", n)
	}
	first := post[api.Job](g.grid, "/api/v1/jobs", square, "Idempotency-Key", "once")
	again := post[api.Job](g.grid, "/api/v1/jobs", square, "Idempotency-Key", "once")
	if status, _, answer := g.request("POST", "/api/v1/jobs", square, "Idempotency-Key", "too many"); status != http.StatusTooManyRequests {
		t.Errorf("a second job: %d, %s", status, answer)
	}
	if n := g.keys("KV_idempotency"); n != 1 || first.ID != again.ID {
		t.Errorf("%d keys; jobs %s and %s", n, first.ID, again.ID)
	}
}

// outputs lists the large outputs of a job that are in the store.
func (g *grid) outputs(job string) (names []string) {
	g.t.Helper()
	js, err := jetstream.New(g.ledger.Conn())
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := js.Stream(g.t.Context(), "OBJ_data")
	if err != nil {
		g.t.Fatal(err)
	}
	info, err := s.Info(g.t.Context(), jetstream.WithSubjectFilter("$O.data.M.*"))
	if err != nil {
		g.t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		name, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(subject, "$O.data.M."))
		if err != nil {
			g.t.Fatal(err)
		}
		if strings.HasPrefix(string(name), ledger.OutputPrefix(job)+".") {
			names = append(names, string(name))
		}
	}
	return names
}

// stored wants so many outputs of a job to be in the store, now or soon.
func (g *grid) stored(job string, n int) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d outputs to be stored", n), func() bool { return len(g.outputs(job)) == n })
}

// A lease has one output, however many are sent for it; it goes with the lease, and
// without one nothing is taken.
func TestOneOutputALease(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("a\nb\n", "strict:2")
	mal := g.worker("Mal", 1)
	lease := mal.leases(1)[0]
	for i := range 10 {
		if _, status, body := g.upload(mal, lease, fmt.Appendf(nil, "output %d", i)); status != http.StatusCreated {
			t.Fatalf("%d, %s", status, body)
		}
		if names := g.outputs(j.ID); len(names) != 1 {
			t.Fatalf("after %d outputs of one lease: %v", i+1, names)
		}
	}
	mal.send(wire.FromWorker{Returns: [][]byte{lease.ID}}) // it lapses: late, but not for ever
	mal.fail()
	g.stored(j.ID, 0)
	if _, status, body := g.upload(mal, lease, []byte("again")); status != http.StatusGone || !strings.Contains(string(body), "has ended") {
		t.Errorf("after the end of the lease: %d, %s", status, body)
	}
	other := g.worker("Eve", 0)
	other.job = mal.job
	if _, status, _ := g.upload(other, lease, []byte("stolen")); status != http.StatusForbidden {
		t.Errorf("another's lease: %d", status)
	}
	g.stored(j.ID, 0)
}

// A volunteer has so many outputs stored beside what was accepted, and strangers
// together; whoever is established always has room. What others sent already takes
// no more, so that votes can be given.
func TestOutputsHaveABound(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	g := serve(t, t.TempDir(), func(c *Config) { c.TaskOutput, c.MaxPerAddress = most, 64 })
	g.establish("Ada")
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Split: "range:1:200"}, Policy: "trusted"})
	output := func(seed string, task uint32) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "%-8.8s%-8d", seed, task), most/16)
	}
	fill := func(name string) (sent, refused int) {
		w := g.worker(name, 20)
		for _, l := range w.leases(20) {
			switch _, status, body := g.upload(w, l, output(name, l.Task)); status {
			case http.StatusCreated:
				sent++
			case http.StatusTooManyRequests:
				refused++
			default:
				t.Fatalf("%d, %s", status, body)
			}
		}
		return sent, refused
	}
	for _, c := range []struct {
		name string
		sent int
	}{{"Mal", 16}, {"Eve", 16}, {"Sue", 0}, {"Ada", 16}} {
		if sent, refused := fill(c.name); sent != c.sent || refused != 20-c.sent {
			t.Errorf("%s has sent %d, and %d were refused", c.name, sent, refused)
		}
	}
	g.stored(j.ID, 48)
	g.request("POST", "/api/v1/jobs/"+j.ID+"/cancel", nil)
	g.stored(j.ID, 0)
}

// The outputs of a job go with its end, when the result is there.
func TestOutputsEndWithTheJob(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), nil)
	id, want := g.large(3)
	g.stored(id, 0)
	if _, _, got := g.request("GET", "/api/v1/jobs/"+id+"/result", nil); !bytes.Equal(got, want) {
		t.Errorf("the result has %d bytes", len(got))
	}
}

// An accepted output that the disk has lost has its task computed again; the others
// stand.
func TestLostOutputIsComputedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := serve(t, dir, nil)
	j := g.echoes("a\nb\nc\n", "trusted")
	outputs := [][]byte{bytes.Repeat([]byte("a"), 1<<20), bytes.Repeat([]byte("b"), 1<<20), bytes.Repeat([]byte("c"), 1<<20)}
	give := func(w *worker, l wire.Lease) {
		hash, status, body := g.upload(w, l, outputs[l.Task])
		if a := w.result(wire.Result{Lease: l.ID, Hash: hash}); status != http.StatusCreated || a.Status != wire.Accepted {
			t.Fatalf("%d, %s; %+v", status, body, a)
		}
	}
	ada := g.worker("Ada", 2)
	lost, kept := ada.leases(2)[0], ada.leases(2)[1]
	give(ada, lost)
	give(ada, kept)
	js, err := jetstream.New(g.ledger.Conn())
	if err != nil {
		t.Fatal(err)
	}
	store, err := js.Stream(t.Context(), "OBJ_data")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(outputs[lost.Task])
	object, err := js.ObjectStore(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	info, err := object.GetInfo(t.Context(), ledger.OutputObject(j.ID, sum[:]))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Purge(t.Context(), jetstream.WithPurgeSubject("$O.data.C."+info.NUID)); err != nil {
		t.Fatal(err)
	}
	g.Close(t.Context())
	g = serve(t, dir, nil)
	bob := g.worker("Bob", 2)
	for _, l := range slices.Clone(bob.leases(2)) {
		if l.Task == kept.Task {
			t.Errorf("task %d is computed again", l.Task)
		}
		give(bob, l)
	}
	g.ended(j.ID)
	if _, _, got := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil); !bytes.Equal(got, bytes.Join(outputs, nil)) {
		t.Errorf("the result has %d bytes", len(got))
	}
}

// A module that is refused leaves nothing in the cache, however often it comes.
func TestRefusedModulesLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	g.publish(wasmtest.Echo())
	before := files(t, filepath.Join(dir, "cache"))
	for range 2 {
		module := wasmtest.Say(`{"contract":1,"name":"a","result":"text/plain","stages":["split"]}`)
		g.refuses("POST", "/api/v1/modules", module, http.StatusUnprocessableEntity, "no map stage", "Content-Type", "application/wasm")
	}
	if after := files(t, filepath.Join(dir, "cache")); !slices.Equal(before, after) {
		t.Errorf("the cache had %v, and has %v", before, after)
	}
}

// files lists all files below a folder.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
