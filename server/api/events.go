package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
)

const (
	eventPause   = 100 * time.Millisecond // between two events of a stream, at least
	commentEvery = 15 * time.Second
)

// WatchJob streams a job.
func (a *API) WatchJob(c echo.Context, id string) error {
	j, err := a.Ledger.Job(id)
	if err != nil {
		return err
	}
	a.refresh(c.Request().Context(), j)
	return a.stream(c, "job", func() (moment, bool) { return a.hub.job(id) })
}

// WatchGrid streams the grid's numbers.
func (a *API) WatchGrid(c echo.Context) error {
	return a.stream(c, "grid", func() (moment, bool) { return a.hub.gridMoment(), true })
}

// stream sends what is newest, at first and whenever it changes: server-sent
// events (WHATWG HTML, section 9.2).
func (a *API) stream(c echo.Context, name string, newest func() (moment, bool)) error {
	seen, _ := strconv.ParseInt(c.Request().Header.Get("Last-Event-ID"), 10, 64) // nonsense counts as none
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	w.Flush()
	comment := time.NewTicker(commentEvery)
	defer comment.Stop()
	var next time.Time
	for {
		m, ok := newest()
		if !ok {
			return nil // it was deleted
		}
		if wait := time.Until(next); m.version > seen && wait > 0 && !m.final {
			if !a.pause(c, comment, time.After(wait), m.changed) {
				return nil
			}
			continue
		}
		if m.version > seen {
			if _, err := fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", name, m.version, m.data); err != nil {
				return nil //nolint:nilerr // the viewer has gone
			}
			w.Flush()
			seen, next = m.version, time.Now().Add(eventPause)
		}
		if m.final {
			return nil
		}
		if !a.pause(c, comment, nil, m.changed) {
			return nil
		}
	}
}

// pause waits for a change, or for the end of the pause between two events;
// false ends the stream.
func (a *API) pause(c echo.Context, comment *time.Ticker, over <-chan time.Time, changed <-chan struct{}) bool {
	for {
		select {
		case <-changed:
			return true
		case <-over:
			return true
		case <-comment.C:
			if _, err := fmt.Fprint(c.Response(), ": still here\n\n"); err != nil {
				return false
			}
			c.Response().Flush()
		case <-c.Request().Context().Done():
			return false
		case <-a.stop:
			return false
		}
	}
}
