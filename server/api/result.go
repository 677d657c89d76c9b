package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// GetResult gives the artefact. It may be anything that a stranger's program
// wrote, so a browser may only look at it, not run it.
func (a *API) GetResult(c echo.Context, id string, params GetResultParams) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	err = a.result(c, j, params)
	if errors.Is(err, dispatch.ErrNobody) { // it may have ended meanwhile
		if j, err = a.Ledger.Job(id); err == nil {
			err = a.result(c, j, params)
		}
	}
	return err
}

func (a *API) result(c echo.Context, j *ledger.Job, params GetResultParams) error {
	id, h := j.ID, c.Response().Header()
	h.Set(echo.HeaderContentSecurityPolicy, "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
	h.Set(echo.HeaderContentType, j.Media)
	if j.State == ledger.Done {
		return a.serveBlob(c, j)
	}
	if j.State.Final() && !params.Partial {
		return refuse(http.StatusConflict, "the job is %s: there is no result; ask with partial=true for what its tasks gave that are done, %d of %d", j.State, j.Done, j.Tasks)
	}
	if !params.Partial {
		return refuse(http.StatusConflict, "the job is %s, %d of %d tasks are done; ask with partial=true for what there is", j.State, a.hub.latest(id).Done, j.Tasks)
	}
	p, err := a.partials.get(c.Request().Context(), id, func(before made[partial]) made[partial] { return a.makePartial(id, before) })
	if err != nil {
		return err
	}
	h.Set("Cache-Control", "no-cache")
	if p.done == 0 {
		h.Del(echo.HeaderContentType)
		return c.NoContent(http.StatusNoContent)
	}
	key := id + p.etag
	if !a.sending.begin(key, len(p.data)) {
		h.Set(echo.HeaderRetryAfter, "5")
		return refuse(http.StatusServiceUnavailable, "many read what there is so far of large jobs: try again in a few seconds")
	}
	defer a.sending.end(key, len(p.data))
	h.Set("ETag", p.etag)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(p.data))
	return nil
}

// ask asks about a job: its owner, or whoever knows what is left of it if it
// failed or was cancelled.
func (a *API) ask(ctx context.Context, id string, q dispatch.Query) ([]byte, error) {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return nil, err
	}
	if !j.State.Final() {
		return a.foremen.Query(ctx, id, q)
	}
	data, err := a.foremen.Query(ctx, id, q) // its owner may be about to leave it
	if errors.Is(err, dispatch.ErrNobody) {
		return a.foremen.QueryEnded(ctx, id, q)
	}
	return data, err
}

// A partial is the artefact of a job that is not done as far as it goes.
type partial struct {
	data []byte
	etag string
	done int // tasks that are in it, at least; 0: there is nothing yet
}

// maxSending is how many bytes of partials are in memory for those who read them,
// each once however many do. Who reads slowly keeps an old one.
const maxSending = 256 << 20

// A sending counts the readers of partials.
type sending struct {
	mu      sync.Mutex
	readers map[string]int
	bytes   int
}

// begin notes a reader of n bytes, unless that is too much. There is always room
// for the first.
func (s *sending) begin(key string, n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[key] == 0 {
		if s.bytes > 0 && s.bytes+n > maxSending {
			return false
		}
		s.bytes += n
	}
	if s.readers == nil {
		s.readers = map[string]int{}
	}
	s.readers[key]++
	return true
}

func (s *sending) end(key string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[key]--; s.readers[key] == 0 {
		delete(s.readers, key)
		s.bytes -= n
	}
}

// makingAtOnce is how many partials are made at a time.
const makingAtOnce = 2

// makePartial makes what there is so far, unless that is what there was
// before. It is for all who ask, so it does not end with the one who asked
// first.
func (a *API) makePartial(id string, before made[partial]) (now made[partial]) {
	ctx, cancel := context.WithTimeout(a.ctx, time.Minute)
	defer cancel()
	var p dispatch.Progress
	data, err := a.ask(ctx, id, dispatch.Query{Want: dispatch.WantProgress})
	if err == nil {
		err = dispatch.Decode(data, &p)
	}
	switch {
	case err != nil:
		return made[partial]{err: err, cheap: true}
	case p.Done == 0:
		return made[partial]{cheap: true}
	case p.Done == before.value.done:
		return before
	}
	select {
	case a.making <- struct{}{}:
		defer func() { <-a.making }()
	case <-ctx.Done():
		return made[partial]{err: ctx.Err(), cheap: true}
	}
	data, err = a.ask(ctx, id, dispatch.Query{Want: dispatch.WantPartial})
	if err != nil {
		return made[partial]{err: fmt.Errorf("make what there is so far: %w", err)}
	}
	return made[partial]{value: partial{data, `"` + string(sandbox.Hash(data)) + `"`, p.Done}, bytes: len(data)}
}

// serveBlob streams a stored result, with its hash as ETag. A range of it is sent
// alone; who asks for many at once, each of which would have to be looked for,
// gets all of it.
func (a *API) serveBlob(c echo.Context, j *ledger.Job) error {
	r := c.Request()
	blob, err := a.Ledger.OpenBlob(r.Context(), j.Result)
	if err != nil {
		return err
	}
	if strings.Contains(r.Header.Get("Range"), ",") {
		r.Header.Del("Range")
	}
	c.Response().Header().Set("ETag", `"`+j.Result.Hash+`"`)
	http.ServeContent(c.Response(), r, "", j.Finished, blob)
	return nil
}
