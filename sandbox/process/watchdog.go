package process

import (
	"sync"
	"time"
)

// A watchdog measures what the running program computes and calls overrun when
// that is more than it may. It looks at the processor's time of this process,
// which runs nothing beside the program: on a busy machine an hour may pass
// while a program computes for a minute.
type watchdog struct {
	overrun func(limit, took time.Duration) // it must not return
	mu      sync.Mutex
	timer   *time.Timer
	running bool
	began   time.Duration
	limit   time.Duration
}

func newWatchdog(overrun func(limit, took time.Duration)) *watchdog {
	w := &watchdog{overrun: overrun}
	w.timer = time.AfterFunc(time.Hour, w.look)
	return w
}

// begin is called before a program runs.
func (w *watchdog) begin(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.began, w.limit = true, processorTime(), limit
	w.timer.Reset(limit)
}

// end is called after it ran, and gives what it computed.
func (w *watchdog) end() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	w.timer.Stop()
	return processorTime() - w.began
}

// look is called when a program may have had its time. It keeps the lock to the
// end of the process, so that the program's own outcome does not follow.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running {
		return
	}
	const soon = 10 * time.Millisecond
	took := processorTime() - w.began
	if took < w.limit {
		w.timer.Reset(max(soon, w.limit-took))
		return
	}
	w.overrun(w.limit, took)
}

// computing is how long a program computed that ran for a while on the wall. The
// processor's time counts other threads of the executor too, never more than
// the wall; where its grain is coarse it says nothing about short runs.
func computing(wall, processor time.Duration) time.Duration {
	if wall < 10*processorGrain {
		return wall
	}
	return min(wall, processor)
}
