package api

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// A hub has the newest of every job, of the list of jobs and of the grid, made
// once for however many look on.
type hub struct {
	mu      sync.Mutex
	clock   int64 // the version given last
	name    int64 // of this hub, in the last digits of its versions
	called  func(volunteer string) string
	jobs    map[string]*jobTopic
	list    topic
	now     topic // the grid
	last    Grid
	history []Sample // the last samples, the oldest first
	done    int64    // tasks, since the start
	counts  []int64  // done at the last samples, the oldest first
}

// A topic is something that people watch.
type topic struct {
	name    string // of its events
	version int64
	view    func() any
	event   []byte // made when somebody wants it
	over    bool   // it changes no more, as far as anybody knows
	gone    bool   // nothing is left to see
	viewers map[*viewer]struct{}
}

// A jobTopic is one job.
type jobTopic struct {
	topic
	record   *ledger.Job
	progress dispatch.Progress
}

// A viewer waits for changes of the topics that they have asked for.
type viewer struct {
	topics []*topic
	woken  chan struct{} // has something in it once one has changed
	seen   int64         // version of the newest change that they have
}

// hubNames is how many names of hubs there are.
const hubNames = 1000

func newHub(called func(volunteer string) string) *hub {
	h := &hub{called: called, jobs: map[string]*jobTopic{}, name: rand.Int64N(hubNames)} //nolint:gosec // it only tells hubs apart
	h.now = topic{name: "grid", view: func() any { return h.last }}
	h.list = topic{name: "list", view: h.viewList}
	h.touch(&h.now)
	h.touch(&h.list)
	return h
}

// touch gives a topic a new version and wakes its viewers. Versions grow over
// all topics, and over restarts: they are the time in microseconds, with the
// hub's name as the last three digits.
func (h *hub) touch(t *topic) {
	h.clock = max(h.clock+hubNames, time.Now().UnixMicro()*hubNames+h.name)
	t.version, t.event = h.clock, nil
	for v := range t.viewers {
		select {
		case v.woken <- struct{}{}:
		default: // they will look anyway
		}
	}
}

// since reads the id of the last event that a viewer has got: all that changed
// up to then they know. They know nothing if it is nonsense, or comes from
// another server, where things may have happened in another order.
func (h *hub) since(id string) int64 {
	seen, err := strconv.ParseInt(id, 10, 64)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil || seen%hubNames != h.name || seen > h.clock {
		return 0
	}
	return seen
}

// wanted is what somebody wants to watch.
type wanted struct {
	jobs       []string
	grid, list bool
}

// watch gives a viewer of what there is of the things wanted, and the jobs
// among them that nothing was heard of yet. He must leave in the end.
func (h *hub) watch(w wanted, seen int64) (v *viewer, unheard []string) {
	v = &viewer{woken: make(chan struct{}, 1), seen: seen}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range w.jobs {
		t := h.jobs[id]
		if t == nil {
			continue
		}
		v.topics = append(v.topics, &t.topic)
		if t.progress.Job == "" && !t.over {
			unheard = append(unheard, id)
		}
	}
	if w.grid {
		v.topics = append(v.topics, &h.now)
	}
	if w.list {
		v.topics = append(v.topics, &h.list)
	}
	for _, t := range v.topics {
		if t.viewers == nil {
			t.viewers = map[*viewer]struct{}{}
		}
		t.viewers[v] = struct{}{}
	}
	return v, unheard
}

func (h *hub) leave(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range v.topics {
		delete(t.viewers, v)
	}
}

// news is what a viewer has not seen yet.
type news struct {
	events  [][]byte // the oldest change first
	version int64    // of the last one
	urgent  bool     // something has ended
	end     bool     // and nothing goes on
}

// news gives what has changed since the viewer looked last, of all their topics
// at one moment. Whoever has got some of the events, in their order, and comes
// back with the version of the last of them, misses nothing: all that changed
// before was in them, and what changed after has a higher version.
func (h *hub) news(v *viewer) (n news) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n.end = true
	var changed []*topic
	for _, t := range v.topics {
		n.end = n.end && (t.over || t.gone)
		if t.version > v.seen && !t.gone {
			changed = append(changed, t)
			n.urgent = n.urgent || t.over
		}
	}
	slices.SortFunc(changed, func(a, b *topic) int { return cmp.Compare(a.version, b.version) })
	for _, t := range changed {
		n.events, n.version = append(n.events, t.encode()), t.version
	}
	return n
}

// encode makes the event of a topic, once for all its viewers.
func (t *topic) encode() []byte {
	if t.event == nil {
		data, _ := json.Marshal(t.view()) // plain fields: it cannot fail
		t.event = fmt.Appendf(nil, "event: %s\nid: %d\ndata: %s\n\n", t.name, t.version, data)
	}
	return t.event
}

// record hears of every change of a job's record.
func (h *hub) record(j *ledger.Job) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.jobs[j.ID]
	if t == nil {
		t = &jobTopic{record: &ledger.Job{}}
		t.topic = topic{name: "job", view: func() any { return viewJob(t.record, t.progress, h.called) }}
		h.jobs[j.ID] = t
	}
	was := t.record.State
	if t.record = j; j.State == "" {
		t.gone = true
		delete(h.jobs, j.ID)
	}
	if t.over = j.State.Final(); t.over && !was.Final() && t.progress.Job != "" {
		h.done += int64(max(0, j.Done-t.progress.Done)) // those that nobody told of
	}
	h.touch(&t.topic)
	if j.State != was {
		h.touch(&h.list)
	}
}

// progress hears how far a running job is.
func (h *hub) progress(p dispatch.Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.jobs[p.Job]
	if t == nil || t.over || reflect.DeepEqual(p, t.progress) {
		return
	}
	if t.progress.Job != "" { // else some may have been done long ago
		h.done += int64(max(0, p.Done-t.progress.Done))
	}
	t.progress = p
	h.touch(&t.topic)
}

// renamed hears that somebody is called something else now: jobs name them in
// their failures. What was made of those that have ended is made again when
// somebody wants it.
func (h *hub) renamed(volunteer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.jobs {
		t.event = nil
		if slices.ContainsFunc(t.progress.Failures, func(f dispatch.Failing) bool { return f.By == volunteer }) {
			h.touch(&t.topic)
		}
	}
}

// begun are the jobs that have not ended and have tasks that are done.
func (h *hub) begun() (jobs []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, t := range h.jobs {
		if !t.record.State.Final() && t.progress.Done > 0 {
			jobs = append(jobs, id)
		}
	}
	return jobs
}

func (h *hub) latest(job string) dispatch.Progress {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.jobs[job]; t != nil {
		return t.progress
	}
	return dispatch.Progress{}
}

func (h *hub) viewList() any {
	l := List{Jobs: len(h.jobs)}
	for id, t := range h.jobs {
		if t.record.State == ledger.Running {
			l.Running++
		}
		l.Newest = max(l.Newest, id)
	}
	return l
}

func (h *hub) grid() Grid {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

func (h *hub) samples() []Sample {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Sample{}, h.history...)
}

const (
	rateOver      = 10  // samples that the rate is taken over
	keptSamples   = 600 // ten minutes of them
	keptIncidents = 20
)

// sample takes the grid's numbers.
func (h *hub) sample(workers []Worker) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := Grid{Workers: len(workers), TasksPerSecond: h.rate(), Incidents: h.incidents()}
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
	switch {
	case g.Jobs == 0:
		g.Reason = "no job is running"
	case g.Workers == 0:
		g.Reason = "no worker is connected"
	case g.Lent > 0:
		g.Reason = ""
	}
	h.remember(g)
	if !reflect.DeepEqual(g, h.last) {
		h.last = g
		h.touch(&h.now)
	}
}

// rate is how many tasks were done a second, over the last samples.
func (h *hub) rate() float64 {
	h.counts = append(h.counts, h.done)
	if len(h.counts) > rateOver+1 {
		h.counts = h.counts[1:]
	}
	n := len(h.counts) - 1
	if n == 0 {
		return 0
	}
	return float64(h.done-h.counts[0]) / float64(n) / sampleEvery.Seconds()
}

func (h *hub) remember(g Grid) {
	if len(h.history) == keptSamples {
		h.history = h.history[1:]
	}
	h.history = append(h.history, Sample{
		At: time.Now().UTC().Truncate(time.Millisecond), Workers: g.Workers, Slots: g.Slots,
		TasksPerSecond: g.TasksPerSecond, Waiting: g.Waiting, Lent: g.Lent,
	})
}

// incidents are the last failures and wrong results of running jobs, the
// newest first.
func (h *hub) incidents() (all []Incident) {
	for id, t := range h.jobs {
		if t.record.State != ledger.Running {
			continue
		}
		for _, f := range t.progress.Failures {
			all = append(all, Incident{
				Job: id, Title: t.record.Title, Task: f.Task, By: h.called(f.By), Reason: f.Reason, At: time.UnixMilli(f.At).UTC(),
			})
		}
	}
	slices.SortFunc(all, func(a, b Incident) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Job, b.Job), cmp.Compare(a.Task, b.Task), cmp.Compare(a.By, b.By))
	})
	return all[:min(len(all), keptIncidents)]
}
