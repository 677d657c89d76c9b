package guard

import (
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// A Door lets so many requests in at a time, so many of them of one address.
// Others wait before it for a while and are sent away then, told when to come
// again.
type Door struct {
	All, Each int
	Wait      time.Duration

	mu     sync.Mutex
	in     int
	of     map[string]int
	leaves chan struct{} // closed and replaced when somebody leaves
}

// enter takes a place, or says that there is none and when one may be.
func (d *Door) enter(address string) (leaves <-chan struct{}, refused error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.of == nil {
		d.of, d.leaves = map[string]int{}, make(chan struct{})
	}
	switch {
	case d.of[address] >= d.Each:
		return d.leaves, errEach
	case d.in >= d.All:
		return d.leaves, errAll
	}
	d.in++
	d.of[address]++
	return nil, nil
}

func (d *Door) leave(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.in--
	if d.of[address]--; d.of[address] == 0 {
		delete(d.of, address)
	}
	close(d.leaves)
	d.leaves = make(chan struct{})
}

var (
	errEach = echo.NewHTTPError(http.StatusTooManyRequests, "too many requests of this kind are under way from this address: wait for one to end")
	errAll  = echo.NewHTTPError(http.StatusServiceUnavailable, "the server has as many requests of this kind as it can take: try again in a few seconds")
)

// Limit is the door as a middleware.
func (d *Door) Limit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		address := Address(c.RealIP())
		over := time.NewTimer(d.Wait)
		defer over.Stop()
		for {
			leaves, refused := d.enter(address)
			if refused == nil {
				defer d.leave(address)
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
