package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
	if j.State.Final() {
		return refuse(http.StatusConflict, "the job is %s: there is no result", j.State)
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
	h.Set("ETag", p.etag)
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(p.data))
	return nil
}

// A partial is the artefact of a running job as far as it goes.
type partial struct {
	data []byte
	etag string
	done int // tasks that are in it, at least; 0: there is nothing yet
}

// makePartial makes what there is so far, unless that is what there was
// before. It is for all who ask, so it does not end with the one who asked
// first.
func (a *API) makePartial(id string, before made[partial]) (now made[partial]) {
	ctx, cancel := context.WithTimeout(a.ctx, time.Minute)
	defer cancel()
	p, err := a.askProgress(ctx, id)
	switch {
	case err != nil:
		return made[partial]{err: err, cheap: true}
	case p.Done == 0:
		return made[partial]{cheap: true}
	case p.Done == before.value.done:
		return before
	}
	data, err := a.foremen.Query(ctx, id, dispatch.Query{Want: dispatch.WantPartial})
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
