package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/scratch"
)

// GetResult gives the artefact. It may be anything that a stranger's program
// wrote, so a browser may only look at it, not run it.
func (a *API) GetResult(c echo.Context, id string, params GetResultParams) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	h := c.Response().Header()
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
	ctx, cancel := context.WithTimeout(c.Request().Context(), time.Minute)
	defer cancel()
	data, err := a.foremen.Query(ctx, id, dispatch.Query{Want: dispatch.WantPartial})
	if err != nil {
		return fmt.Errorf("make what there is so far: %w", err)
	}
	h.Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, j.Media, data)
}

// serveBlob serves a stored result, with its hash as ETag and with ranges.
func (a *API) serveBlob(c echo.Context, j *ledger.Job) error {
	r, err := a.Ledger.OpenBlob(c.Request().Context(), j.Result)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	f := scratch.New(a.Scratch)
	defer f.Close() //nolint:errcheck // nothing of it is needed
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	c.Response().Header().Set("ETag", `"`+j.Result.Hash+`"`)
	http.ServeContent(c.Response(), c.Request(), "", j.Finished, f.Reader())
	return nil
}
