package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/server/program"
)

// sizeOf is how many bytes the files in a folder have.
func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // it has just gone
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A server that is told to end while an upload comes in does not wait for it,
// and nothing of it stays.
func TestEndDuringUploadLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := serve(t, dir, nil)
	uploads := filepath.Join(dir, "ledger", "jetstream", "$G", "streams", "OBJ_uploads")
	before := sizeOf(t, uploads)
	body, sender := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL+"/api/v1/inputs", body)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	const sent = 8 << 20
	if _, err := sender.Write(make([]byte, sent)); err != nil { // and no more
		t.Fatal(err)
	}
	g.until("most of the upload to be stored", func() bool { return sizeOf(t, uploads) > before+sent/2 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g.Close(ctx)
	if ctx.Err() != nil {
		t.Error("the server waited for the upload")
	}
	_ = sender.Close()
	if err := <-answered; err == nil {
		t.Error("the upload was answered")
	}
	if left := sizeOf(t, uploads) - before; left > 1<<20 {
		t.Errorf("%d bytes of the upload are left", left)
	}
}

// Inputs and a result that are as large as they may be work as everything else does.
func TestLargestInputsAndResultWork(t *testing.T) {
	t.Parallel()
	g := serve(t, t.TempDir(), func(c *Config) { c.TaskOutput = program.MaxInput })
	var seed [32]byte
	data := make([]byte, program.MaxInputs)
	_, _ = rand.NewChaCha8(seed).Read(data) // never fails
	upload := post[api.Upload](g, "/api/v1/inputs", data)
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{
		Program: g.publish(wasmtest.Echo()), Input: api.Input{Upload: upload.ID, Split: "bytes:16777216"},
	})
	g.runner("Rob")
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Bytes != program.MaxInputs {
		t.Fatalf("%+v", j)
	}
	status, header, result := g.request(http.MethodGet, "/api/v1/jobs/"+j.ID+"/result", nil)
	sum := sha256.Sum256(data)
	if status != http.StatusOK || !bytes.Equal(result, data) || header.Get("ETag") != `"`+hex.EncodeToString(sum[:])+`"` {
		t.Errorf("the result: %d, %d bytes, %s", status, len(result), header.Get("ETag"))
	}
}
