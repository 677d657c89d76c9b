package api

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// However many ask, a thing is made once a second and never twice at a time;
// who asks later gets what is newer.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		builds, underway := 0, 0
		build := func(before made[int]) made[int] {
			if underway++; underway > 1 || before.value != builds {
				t.Errorf("%d at a time, after %d", underway, before.value)
			}
			time.Sleep(5 * time.Second) // of the bubble's time: it is slow
			underway--
			builds++
			return made[int]{value: builds, bytes: 10}
		}
		for round := 1; round <= 3; round++ {
			var wait sync.WaitGroup
			for range 100 {
				wait.Go(func() {
					if v, err := c.get(t.Context(), "job", build); v != round || err != nil {
						t.Errorf("round %d: %d, %v", round, v, err)
					}
				})
			}
			wait.Wait()
			time.Sleep(freshFor + 1)
		}
		if builds != 3 || c.bytes != 10 {
			t.Errorf("made %d times, %d bytes kept", builds, c.bytes)
		}
	})
}

// A failure is what all get for a second, and who does not want to wait goes.
func TestCacheFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		builds := 0
		build := func(made[int]) made[int] {
			builds++
			time.Sleep(time.Second)
			return made[int]{err: errors.New("no luck")}
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		var wait sync.WaitGroup
		for range 10 {
			wait.Go(func() {
				if _, err := c.get(t.Context(), "job", build); err == nil || err.Error() != "no luck" {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := c.get(impatient, "job", build); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		wait.Wait()
		if builds != 1 {
			t.Errorf("made %d times", builds)
		}
	})
}

// What took no work is not kept: it may be otherwise in a moment.
func TestCacheCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		for n := range 3 {
			v, err := c.get(t.Context(), "job", func(made[int]) made[int] { return made[int]{value: n, cheap: true} })
			if v != n || err != nil {
				t.Errorf("%d instead of %d, %v", v, n, err)
			}
		}
	})
}

// What is large is not kept, what is old goes, and all together has a bound.
func TestCacheBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cache[int]
		ask := func(job string, bytes int) {
			if _, err := c.get(t.Context(), job, func(made[int]) made[int] { return made[int]{bytes: bytes} }); err != nil {
				t.Error(err)
			}
		}
		ask("large", maxKept+1)
		if c.bytes != 0 || len(c.items) != 0 {
			t.Errorf("%d bytes of a large thing are kept", c.bytes)
		}
		for i := range 20 {
			ask("job"+strconv.Itoa(i), maxKept)
			time.Sleep(time.Millisecond)
		}
		if c.bytes > maxCache || len(c.items) != maxCache/maxKept || c.items["job19"] == nil {
			t.Errorf("%d things of %d bytes", len(c.items), c.bytes)
		}
		time.Sleep(keptFor + time.Second)
		ask("another", 1)
		if c.bytes != 1 || len(c.items) != 1 {
			t.Errorf("after a minute: %d things of %d bytes", len(c.items), c.bytes)
		}
	})
}
