package guard

import (
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Doors let so many requests of a kind in at a time, so many of them of one
// caller. Others wait for a while and are sent away then, told when to come
// again. Each queue has a door of its own: who stands in one never waits for
// those of another.
type Doors struct {
	All, Each int
	Wait      time.Duration
	// Of says in which of a few queues a request stands, and as whose it counts
	// there; as nobody's if that is empty.
	Of func(echo.Context) (queue, caller string)

	mu    sync.Mutex
	doors map[string]*door // by queue
}

// Limit is the doors as a middleware.
func (d *Doors) Limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		queue, caller := d.Of(c)
		at := d.door(queue)
		over := time.NewTimer(d.Wait)
		defer over.Stop()
		for {
			leaves, refused := at.enter(caller)
			if refused == nil {
				defer at.leave(caller)
				return next(c)
			}
			select {
			case <-leaves:
			case <-over.C:
				c.Response().Header().Set(echo.HeaderRetryAfter, "5")
				return refused
			case <-c.Request().Context().Done():
				return c.Request().Context().Err()
			}
		}
	}
}

func (d *Doors) door(queue string) *door {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doors[queue] == nil {
		if d.doors == nil {
			d.doors = map[string]*door{}
		}
		d.doors[queue] = &door{all: d.All, each: d.Each, of: map[string]int{}, leaves: make(chan struct{})}
	}
	return d.doors[queue]
}

// A door is that of one queue.
type door struct {
	all, each int

	mu     sync.Mutex
	in     int
	of     map[string]int // by caller
	leaves chan struct{}  // closed and replaced when somebody leaves
}

// enter takes a place, or says that there is none and when one may be.
func (d *door) enter(caller string) (leaves <-chan struct{}, refused error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case caller != "" && d.of[caller] >= d.each:
		return d.leaves, errEach
	case d.in >= d.all:
		return d.leaves, errAll
	}
	d.in++
	d.of[caller]++
	return nil, nil
}

func (d *door) leave(caller string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in--
	if d.of[caller]--; d.of[caller] == 0 {
		delete(d.of, caller)
	}
	close(d.leaves)
	d.leaves = make(chan struct{})
}

var (
	errEach = echo.NewHTTPError(http.StatusTooManyRequests, "too many requests of this kind are under way from this address or with this token: wait for one to end")
	errAll  = echo.NewHTTPError(http.StatusServiceUnavailable, "the server has as many requests of this kind as it can take: try again in a few seconds")
)
