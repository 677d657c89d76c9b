package api

import (
	"encoding/json"
	"sync"
	"time"

	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// A hub has the newest of every job and of the grid, made once for however
// many look on.
type hub struct {
	mu     sync.Mutex
	jobs   map[string]*topic
	now    topic // the grid
	last   Grid
	done   int64   // tasks, since the start
	counts []int64 // done at the last samples, the oldest first
}

// A topic is something that people watch. Its version is the time of the last
// change in microseconds, so that it grows over restarts too.
type topic struct {
	record   *ledger.Job
	progress dispatch.Progress
	version  int64
	encoded  []byte // made when somebody wants it
	changed  chan struct{}
}

func newHub() *hub {
	return &hub{jobs: map[string]*topic{}, now: topic{changed: make(chan struct{})}}
}

func (t *topic) touch() {
	t.version = max(t.version+1, time.Now().UnixMicro())
	t.encoded = nil
	close(t.changed)
	t.changed = make(chan struct{})
}

// record hears of every change of a job's record.
func (h *hub) record(j *ledger.Job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.jobs[j.ID]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		h.jobs[j.ID] = t
	}
	if t.record = j; j.State == "" {
		delete(h.jobs, j.ID)
	}
	t.touch()
}

// progress hears how far a running job is.
func (h *hub) progress(p dispatch.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.jobs[p.Job]
	if t == nil || t.record.State.Final() {
		return
	}
	h.done += int64(max(0, p.Done-t.progress.Done))
	t.progress = p
	t.touch()
}

func (h *hub) latest(job string) dispatch.Progress {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.jobs[job]; t != nil {
		return t.progress
	}
	return dispatch.Progress{}
}

// A moment is a topic at one time, ready to be sent.
type moment struct {
	version int64
	data    []byte
	final   bool
	changed <-chan struct{}
}

// job gives the newest of a job; ok is false if there is none of that name.
func (h *hub) job(id string) (m moment, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.jobs[id]
	if t == nil {
		return m, false
	}
	if t.encoded == nil {
		t.encoded, _ = json.Marshal(viewJob(t.record, t.progress)) // plain fields: it cannot fail
	}
	return moment{t.version, t.encoded, t.record.State.Final(), t.changed}, true
}

func (h *hub) gridMoment() moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.encoded == nil {
		h.now.encoded, _ = json.Marshal(h.last) // plain fields: it cannot fail
	}
	return moment{h.now.version, h.now.encoded, false, h.now.changed}
}

func (h *hub) grid() Grid {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// rateOver is over how many samples the rate is taken.
const rateOver = 10

// sample takes the grid's numbers.
func (h *hub) sample(workers []Worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := Grid{Workers: len(workers)}
	volunteers := map[string]bool{}
	for _, w := range workers {
		g.Slots += w.Slots
		volunteers[w.Volunteer] = true
	}
	g.Volunteers = len(volunteers)
	for _, t := range h.jobs {
		if t.record.State == ledger.Running {
			g.Jobs++
			g.Waiting += t.progress.Waiting
			g.Lent += t.progress.Lent
			if t.progress.Stuck != "" {
				g.Reason = t.progress.Stuck
			}
		}
	}
	h.counts = append(h.counts, h.done)
	if len(h.counts) > rateOver+1 {
		h.counts = h.counts[1:]
	}
	if n := len(h.counts) - 1; n > 0 {
		g.TasksPerSecond = float64(h.done-h.counts[0]) / float64(n) / sampleEvery.Seconds()
	}
	switch {
	case g.Jobs == 0:
		g.Reason = "no job is running"
	case g.Workers == 0:
		g.Reason = "no worker is connected"
	case g.Lent > 0:
		g.Reason = ""
	}
	if g != h.last {
		h.last = g
		h.now.touch()
	}
}
