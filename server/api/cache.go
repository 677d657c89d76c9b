package api

import (
	"context"
	"sync"
	"time"
)

const (
	freshFor = time.Second // what was made is good for everybody so long
	keptFor  = time.Minute // and is kept for longer, for it is good again if nothing has changed
	maxKept  = 8 << 20     // bytes of one thing that is kept
	maxCache = 64 << 20    // bytes of all
)

// A cache keeps what takes work to make, by job. However many ask for a thing,
// it is made by one of them at a time and at most once a second; the others
// wait and get the same.
type cache[T any] struct {
	mu    sync.Mutex
	items map[string]*item[T]
	bytes int // of all things kept
}

// An item is a thing in a cache.
type item[T any] struct {
	turn  chan struct{} // full while somebody looks at the item or makes it
	users int           // who hold the item now
	made  made[T]
}

// made is something as it was made last, or why that failed.
type made[T any] struct {
	value T
	err   error
	cheap bool // it took no work: who asks next may as well make it again
	bytes int
	at    time.Time // zero: never
}

// get gives the thing of a job. Whoever makes it gets what there was before:
// nothing, with a zero time, at first.
func (c *cache[T]) get(ctx context.Context, job string, build func(before made[T]) made[T]) (value T, err error) {
	i := c.hold(job)
	defer c.release(job, i)
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return value, ctx.Err()
	}
	if time.Since(i.made.at) > freshFor {
		now := build(i.made)
		if now.at = time.Now(); now.cheap {
			now.at = time.Time{}
		}
		c.put(i, now)
	}
	return i.made.value, i.made.err
}

func (c *cache[T]) hold(job string) *item[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.items[job]
	if i == nil {
		if c.items == nil {
			c.items = map[string]*item[T]{}
		}
		i = &item[T]{turn: make(chan struct{}, 1)}
		c.items[job] = i
	}
	i.users++
	return i
}

func (c *cache[T]) put(i *item[T], now made[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += now.bytes - i.made.bytes
	i.made = now
}

// release lets an item go. What is too large to keep goes with the last who
// holds it, and then what nobody wants any more.
func (c *cache[T]) release(job string, i *item[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i.users--; i.users == 0 && i.made.bytes > maxKept {
		c.drop(job)
	}
	for name, other := range c.items {
		if other.users == 0 && time.Since(other.made.at) > keptFor {
			c.drop(name)
		}
	}
	for c.bytes > maxCache && c.dropOldest() {
	}
}

// dropOldest drops what was made before all else and is held by nobody.
func (c *cache[T]) dropOldest() bool {
	oldest := ""
	for name, i := range c.items {
		if i.users == 0 && (oldest == "" || i.made.at.Before(c.items[oldest].made.at)) {
			oldest = name
		}
	}
	if oldest != "" {
		c.drop(oldest)
	}
	return oldest != ""
}

func (c *cache[T]) drop(job string) {
	c.bytes -= c.items[job].made.bytes
	delete(c.items, job)
}
