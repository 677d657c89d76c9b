package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/dispatch"
	"potluck/server/ledger"
)

// happen lets one thing happen at random.
func happen(h *hub, r *rand.Rand) {
	id := "job" + strconv.Itoa(r.IntN(5))
	switch r.IntN(8) {
	case 0:
		h.sample(make([]Worker, r.IntN(3)))
	case 1:
		if r.IntN(20) == 0 {
			h.record(&ledger.Job{ID: id}) // deleted
		}
	case 2, 3:
		if states := ledger.States(); h.jobs[id] != nil { // else it is gone for ever
			h.record(&ledger.Job{ID: id, State: states[r.IntN(len(states))], Tasks: 9})
		}
	default:
		h.progress(dispatch.Progress{Job: id, Total: 9, Done: r.IntN(9)})
	}
}

// A reader is somebody whose connection breaks all the time.
type reader struct {
	id   string            // of the last event that they got
	last map[string]string // the newest of every topic, by event name and job
}

// read takes some of the events of one look, on a new connection or the same.
func (r *reader) read(t *testing.T, h *hub, v *viewer, random *rand.Rand, most int) *viewer {
	t.Helper()
	if random.IntN(3) == 0 {
		h.leave(v)
		v, _ = h.watch(everything, h.since(r.id))
	}
	n := h.news(v)
	for i, e := range n.events {
		if i == most { // the connection breaks in the middle
			h.leave(v)
			v, _ = h.watch(everything, h.since(r.id))
			return v
		}
		r.take(t, e)
	}
	if len(n.events) > 0 {
		v.seen = n.version
	}
	return v
}

func (r *reader) take(t *testing.T, event []byte) {
	t.Helper()
	var name, data string
	var version int64
	if _, err := fmt.Sscanf(string(event), "event: %s\nid: %d\ndata: ", &name, &version); err != nil {
		t.Fatal(err)
	}
	if before, _ := strconv.ParseInt(r.id, 10, 64); version <= before {
		t.Fatalf("event %d came after %d", version, before)
	}
	r.id = strconv.FormatInt(version, 10)
	_, rest, _ := bytes.Cut(event, []byte("data: "))
	data = string(rest)
	var j struct{ ID string }
	if err := json.Unmarshal(rest, &j); err != nil {
		t.Fatal(err)
	}
	r.last[name+j.ID] = data
}

var everything = wanted{jobs: []string{"job0", "job1", "job2", "job3", "job4"}, grid: true, list: true}

// Whatever changes, and whenever a connection breaks: one who sends the id of
// their last event back has in the end the newest of everything.
func TestNoChangeIsLost(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		h := newHub(nobody)
		for _, id := range everything.jobs {
			h.record(&ledger.Job{ID: id, State: ledger.Running, Tasks: 9})
		}
		r := reader{last: map[string]string{}}
		v, _ := h.watch(everything, 0)
		for range 200 {
			happen(h, random)
			if random.IntN(3) == 0 {
				v = r.read(t, h, v, random, random.IntN(5))
			}
		}
		r.read(t, h, v, random, 100)
		want, _ := h.watch(everything, 0)
		for _, e := range h.news(want).events {
			newest := reader{last: map[string]string{}}
			newest.take(t, e)
			for name, data := range newest.last {
				if r.last[name] != data {
					t.Fatalf("seed %d: %s is %s for the reader and %s in truth", seed, name, r.last[name], data)
				}
			}
		}
	}
}

// An id of another server, or nonsense, counts as none.
func TestForeignIDs(t *testing.T) {
	h := newHub(nobody)
	own := h.clock
	if h.since(strconv.FormatInt(own, 10)) != own {
		t.Error("an id of its own is not known")
	}
	for _, id := range []string{"", "x", "-1", strconv.FormatInt(own-1, 10), strconv.FormatInt(own+hubNames, 10)} {
		if seen := h.since(id); seen != 0 {
			t.Errorf("%q counts as %d", id, seen)
		}
	}
}

// A change wakes those who watch it and nobody else, and what has not changed
// wakes nobody; who has left costs nothing.
func TestWaking(t *testing.T) {
	h := newHub(nobody)
	for _, id := range []string{"a", "b"} {
		h.record(&ledger.Job{ID: id, State: ledger.Running})
	}
	a, unheard := h.watch(wanted{jobs: []string{"a", "none"}}, 0)
	b, _ := h.watch(wanted{jobs: []string{"b"}}, 0)
	if len(unheard) != 1 || len(a.topics) != 1 {
		t.Errorf("unheard of: %v of %d", unheard, len(a.topics))
	}
	h.progress(dispatch.Progress{Job: "a", Done: 1})
	if len(a.woken) != 1 || len(b.woken) != 0 {
		t.Errorf("woken: %d, %d", len(a.woken), len(b.woken))
	}
	<-a.woken
	h.progress(dispatch.Progress{Job: "a", Done: 1})
	if len(a.woken) != 0 {
		t.Error("nothing new wakes")
	}
	first, again := h.news(a), h.news(a)
	if len(first.events) != 1 || &first.events[0][0] != &again.events[0][0] {
		t.Error("an event is made for each viewer")
	}
	h.leave(a)
	h.leave(b)
	if n := len(h.jobs["a"].viewers) + len(h.jobs["b"].viewers); n != 0 {
		t.Errorf("%d viewers are left", n)
	}
}

// The history is the last ten minutes, and the rate counts what was done
// between the last progress of a job and its end, but nothing of before.
func TestHistory(t *testing.T) {
	h := newHub(nobody)
	h.record(&ledger.Job{ID: "a", State: ledger.Running})
	h.progress(dispatch.Progress{Job: "a", Done: 1000})
	h.sample(nil)
	h.progress(dispatch.Progress{Job: "a", Done: 1004})
	h.record(&ledger.Job{ID: "a", State: ledger.Done, Done: 1010})
	h.sample(make([]Worker, 2))
	if rate := h.grid().TasksPerSecond; rate != 10 {
		t.Errorf("%v tasks a second, 10 were done", rate)
	}
	for range keptSamples {
		h.sample(make([]Worker, 3))
	}
	all := h.samples()
	if len(all) != keptSamples || all[0].Workers != 3 || all[0].At.After(all[1].At) {
		t.Errorf("%d samples, the oldest %+v", len(all), all[0])
	}
}

// Incidents are those of running jobs, the newest first.
func TestIncidents(t *testing.T) {
	h := newHub(nobody)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	for i, id := range []string{"a", "b"} {
		h.record(&ledger.Job{ID: id, Title: "Job " + id, State: ledger.Running})
		p := dispatch.Progress{Job: id}
		for n := range 15 {
			p.Failures = append(p.Failures, dispatch.Failing{Task: n, By: "Eve", Reason: "luck", At: at + int64(2*n+i)})
		}
		h.progress(p)
	}
	h.sample(nil)
	got := h.grid().Incidents
	if len(got) != keptIncidents || got[0].Job != "b" || got[1].Job != "a" || got[0].Task != 14 || got[0].Title != "Job b" {
		t.Errorf("%d incidents: %+v", len(got), got)
	}
	h.record(&ledger.Job{ID: "b", State: ledger.Failed})
	h.sample(nil)
	if got := h.grid().Incidents; len(got) != 15 || got[0].Job != "a" {
		t.Errorf("after the end of one job: %+v", got)
	}
}

// What is said of the task that was tried for a preview.
func TestTried(t *testing.T) {
	failed := func(k sandbox.Kind) sandbox.Outcome {
		return sandbox.Outcome{Took: time.Second, Failure: &sandbox.Failure{Kind: k, Message: "why"}, Stderr: []byte("a\nb")}
	}
	for name, c := range map[string]struct {
		outcome sandbox.Outcome
		limit   time.Duration
		want    Preview
	}{
		"well":         {sandbox.Outcome{Took: time.Second}, time.Minute, Preview{Complete: true, TaskSeconds: 1}},
		"a failure":    {failed(sandbox.Exit), time.Minute, Preview{Complete: true, TaskSeconds: 1, Failure: "why: a\nb"}},
		"stopped":      {failed(sandbox.Time), time.Minute, Preview{TaskSeconds: 1}},
		"over a limit": {failed(sandbox.Time), time.Second, Preview{TaskSeconds: 1, Failure: "why: a\nb"}},
	} {
		var got Preview
		if got.tried(c.outcome, c.limit); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// Tiles are as many as wanted and no more, and nothing gets lost in them.
func TestCoarseTiles(t *testing.T) {
	for _, tasks := range []int{1, 7, 4096, fineTiles, fineTiles + 1, 1_000_000} {
		size := (tasks + fineTiles - 1) / fineTiles
		fine := dispatch.Tiles{Size: size}
		for at := 0; at < tasks; at += size {
			fine.Done = append(fine.Done, uint32(min(size, tasks-at)))
		}
		for _, count := range []int{1, 2, 1000, maxTiles} {
			got := coarseTiles(fine, tasks, count)
			sum := 0
			for i, n := range got.Done {
				if full := fullTiles(tasks, count); size == 1 && n != full.Done[i] {
					t.Errorf("%d tasks in %d: tile %d has %d", tasks, count, i, n)
				}
				sum += n
			}
			least := (tasks + count - 1) / count
			if sum != tasks || len(got.Done) > count || got.Size < least || float64(got.Size) > 1.25*float64(least)+1 || len(got.Lent) != len(got.Done) {
				t.Errorf("%d tasks in %d: %d tiles of %d with %d tasks", tasks, count, len(got.Done), got.Size, sum)
			}
		}
	}
}

// Any of the records can be read again, and none after the last.
func TestRecordAt(t *testing.T) {
	var all []byte
	for i := range 1000 {
		all = contract.AppendRecord(all, bytes.Repeat([]byte{byte(i)}, i*3))
	}
	for _, i := range []int{0, 1, 500, 999} {
		got, err := recordAt(bytes.NewReader(all), i)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, i*3)) {
			t.Errorf("record %d: %d bytes, %v", i, len(got), err)
		}
	}
	for _, cut := range []int{0, 1, 100} {
		if _, err := recordAt(bytes.NewReader(all[:len(all)-cut]), 1000); err == nil {
			t.Error("there is no record 1000")
		}
	}
}

// nobody has a name.
func nobody(volunteer string) string { return volunteer }
