package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/wire"
)

// large makes a job of outputs of 1 MiB each whose result is so many, all as the
// first worker says, and gives its id and its result.
func (g *grid) large(outputs int) (string, []byte) {
	g.t.Helper()
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{
		Program: g.publish(wasmtest.Echo()), Input: api.Input{Split: fmt.Sprintf("range:1:%d", outputs)}, Policy: "trusted",
	})
	w := g.worker("Ada", uint64(outputs))
	all := make([][]byte, outputs)
	for range outputs {
		l := w.leases(1)[0]
		output := bytes.Repeat(fmt.Appendf(nil, "%-16d", l.Task), 1<<16)
		hash, status, body := g.upload(w, l, output)
		if status != http.StatusCreated {
			g.t.Fatalf("%d, %s", status, body)
		}
		all[l.Task] = output
		if a := w.result(wire.Result{Lease: l.ID, Hash: hash}); a.Status != wire.Accepted {
			g.t.Fatalf("%+v", a)
		}
	}
	if j := g.ended(j.ID); j.State != api.JobStateDone {
		g.t.Fatalf("%+v", j)
	}
	return j.ID, bytes.Join(all, nil)
}

// A large result is streamed: a range of it, and the whole to many readers of whom
// most are slow, without a copy on disk and with little memory for each.
func TestLargeResultsAreStreamed(t *testing.T) { // alone: others would count
	dir := t.TempDir()
	g := serve(t, dir, nil)
	const mega = 40
	id, want := g.large(mega)
	path := "/api/v1/jobs/" + id + "/result"
	before := heap()
	const readers = 40
	for range readers {
		g.raw("GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n") // and nobody reads the answer
	}
	for _, r := range []struct {
		ask      string
		from, to int
	}{
		{"bytes=0-0", 0, 1},
		{fmt.Sprintf("bytes=%d-%d", len(want)-1, len(want)-1), len(want) - 1, len(want)},
		{"bytes=-5", len(want) - 5, len(want)},
		{fmt.Sprintf("bytes=%d-%d", 4<<20-3, 4<<20+3), 4<<20 - 3, 4<<20 + 4},
		{"bytes=7000001-", 7000001, len(want)},
	} {
		status, header, got := g.request("GET", path, nil, "Range", r.ask)
		if status != http.StatusPartialContent || !bytes.Equal(got, want[r.from:r.to]) || header.Get("ETag") == "" {
			t.Errorf("%s: %d, %d bytes", r.ask, status, len(got))
		}
	}
	if status, _, got := g.request("GET", path, nil, "Range", "bytes=0-0,9-9,"+strings.Repeat("5-5,", 1000)+"7-7"); status != http.StatusOK || !bytes.Equal(got, want) {
		t.Errorf("many ranges: %d, %d bytes", status, len(got))
	}
	if status, _, _ := g.request("GET", path, nil, "Range", "bytes=99999999-"); status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range past the end: %d", status)
	}
	// A reader has one message of the store, 128 KiB, and some buffers; the store has
	// what it read last, once for all of them.
	if grown, bound := heap()-before, len(want)+readers*(512<<10); grown > bound {
		t.Errorf("for %d readers the heap has grown by %d bytes, more than %d", readers, grown, bound)
	}
	if files, err := os.ReadDir(filepath.Join(dir, "scratch")); err != nil || len(files) > 0 {
		t.Errorf("copies on disk: %v, %v", files, err)
	}
	if status, _, body := g.request("GET", "/readyz", nil); status != http.StatusOK {
		t.Errorf("the store: %d, %s", status, body)
	}
	resp, err := http.Get(g.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if status, _, body := g.request("DELETE", "/api/v1/jobs/"+id, nil); status != http.StatusNoContent {
		t.Fatalf("delete: %d, %s", status, body)
	}
	if got, err := io.ReadAll(resp.Body); err == nil || !bytes.HasPrefix(want, got) {
		t.Errorf("a result that is deleted while it is read: %d bytes, %v", len(got), err)
	}
}
