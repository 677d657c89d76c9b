package app

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
)

// stuckPreview has the only executor of a server busy with a preview that does
// not end by itself, for a client that goes when ctx ends.
func stuckPreview(ctx context.Context, t *testing.T) (g *grid, runs func(context.Context) bool) {
	t.Helper()
	g = serve(t, t.TempDir(), func(c *Config) { c.Executors = 1 })
	stuck := g.publish(wasmtest.SayToFew(`{"contract":1,"name":"a","result":"text/plain","stages":["map","split"],"parameters":{}}`, 2))
	quick := g.publish(wasmtest.Echo())
	body := `{"program":"` + stuck + `","params":{"more":"than two bytes"}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL+"/api/v1/jobs/preview", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() {
		defer close(answered)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			answered <- resp.StatusCode
			_ = resp.Body.Close()
		}
	}()
	t.Cleanup(func() {
		if status, ok := <-answered; ok && status != http.StatusServiceUnavailable {
			t.Errorf("the preview was answered with %d", status)
		}
	})
	id, err := sandbox.ParseID(quick)
	if err != nil {
		t.Fatal(err)
	}
	p, err := g.api.Library.Program(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	runs = func(ctx context.Context) bool {
		return g.pool.Run(ctx, sandbox.Task{Module: p.Module, Input: []byte("a")}).Failure == nil
	}
	g.until("the executor to be busy", func() bool {
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return !runs(brief)
	})
	return g, runs
}

// A preview ends when its client goes, and frees what it had.
func TestPreviewEndsWithItsClient(t *testing.T) {
	t.Parallel()
	client, leave := context.WithCancel(t.Context())
	defer leave()
	_, runs := stuckPreview(client, t)
	leave()
	ctx, cancel := context.WithTimeout(t.Context(), patience) // a stage may take longer
	defer cancel()
	if !runs(ctx) {
		t.Error("the preview goes on without its client")
	}
}

// A preview does not keep a server from stopping.
func TestPreviewEndsWithTheServer(t *testing.T) {
	t.Parallel()
	g, _ := stuckPreview(t.Context(), t)
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		g.Close(context.Background())
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("the server waits for a preview")
	}
}
