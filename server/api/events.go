package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"potluck/server/dispatch"
	"potluck/server/ledger"
)

const (
	eventPause   = 100 * time.Millisecond // between two looks at what has changed, at least
	commentEvery = 15 * time.Second
	maxWatched   = 200 // jobs in one stream
)

// Watch streams several things.
func (a *API) Watch(c echo.Context, params WatchParams) error {
	switch {
	case len(params.Job) > maxWatched:
		return refuse(http.StatusUnprocessableEntity, "one stream is for at most %d jobs, not for %d", maxWatched, len(params.Job))
	case len(params.Job) == 0 && !params.Grid && !params.List:
		return refuse(http.StatusUnprocessableEntity, "say what to watch: job=ID, as often as there are jobs, grid=true or list=true")
	}
	jobs := slices.Compact(slices.Sorted(slices.Values(params.Job)))
	return a.stream(c, wanted{jobs: jobs, grid: params.Grid, list: params.List})
}

// WatchJob streams a job.
func (a *API) WatchJob(c echo.Context, id string) error {
	return a.stream(c, wanted{jobs: []string{id}})
}

// WatchGrid streams the grid's numbers.
func (a *API) WatchGrid(c echo.Context) error { return a.stream(c, wanted{grid: true}) }

// stream sends what is newest of the things wanted, at first and whenever it
// changes: server-sent events (WHATWG HTML, section 9.2). What is not there is
// left out; if nothing is, it is an error.
func (a *API) stream(c echo.Context, w wanted) error {
	v, unheard := a.hub.watch(w, a.hub.since(c.Request().Header.Get("Last-Event-ID")))
	defer a.hub.leave(v)
	if len(v.topics) == 0 {
		return fmt.Errorf("job %q: %w", w.jobs[0], ledger.ErrNotFound)
	}
	a.refresh(c.Request().Context(), unheard...)
	h := c.Response().Header()
	h.Set(echo.HeaderContentType, "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	c.Response().Flush()
	_ = a.follow(c, v) // the viewer has gone, or the server goes
	return nil
}

// errGone says that a stream was cut off.
var errGone = errors.New("the viewer has gone")

// follow writes news until there can be no more.
func (a *API) follow(c echo.Context, v *viewer) error {
	comment := time.NewTicker(commentEvery)
	defer comment.Stop()
	var next time.Time
	for {
		n := a.hub.news(v)
		var over <-chan time.Time
		if wait := time.Until(next); len(n.events) > 0 && wait > 0 && !n.urgent {
			over = time.After(wait)
		} else if err := write(c, n.events...); err != nil || n.end {
			return err
		} else if len(n.events) > 0 {
			v.seen, next = n.version, time.Now().Add(eventPause)
		}
		if err := a.pause(c, comment, over, v.woken); err != nil {
			return err
		}
	}
}

func write(c echo.Context, events ...[]byte) error {
	for _, e := range events {
		if _, err := c.Response().Write(e); err != nil {
			return err
		}
	}
	if len(events) > 0 {
		c.Response().Flush()
	}
	return nil
}

// pause waits for a change, or for the end of the pause between two looks.
func (a *API) pause(c echo.Context, comment *time.Ticker, over <-chan time.Time, woken <-chan struct{}) error {
	for {
		select {
		case <-woken:
			return nil
		case <-over:
			return nil
		case <-comment.C:
			if err := write(c, []byte(": still here\n\n")); err != nil {
				return err
			}
		case <-c.Request().Context().Done():
			return errGone
		case <-a.ctx.Done():
			return errGone
		}
	}
}

// refresh asks the owners of running jobs how far they are. Without an owner
// the last that was heard has to do.
func (a *API) refresh(ctx context.Context, jobs ...string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, id := range jobs {
		_, _ = a.askProgress(ctx, id) // see above
	}
}

// askProgress asks the owner of a running job how far it is.
func (a *API) askProgress(ctx context.Context, id string) (p dispatch.Progress, err error) {
	data, err := a.foremen.Query(ctx, id, dispatch.Query{Want: dispatch.WantProgress})
	if err == nil {
		err = dispatch.Decode(data, &p)
	}
	if err == nil {
		a.hub.progress(p)
	}
	return p, err
}
