package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"sync"
	"syscall/js"
	"time"

	"potluck/wasmworker/agent"
	"potluck/wire"
)

// maxNews is how many events one report has.
const maxNews = 50

// A status is what the page hears: Status in web/src/agent/protocol.ts. Times
// are milliseconds.
type status struct {
	Kind           string       `json:"kind"`
	Connection     string       `json:"connection"`
	Reason         string       `json:"reason"`
	RetryAt        int64        `json:"retryAt"`
	Volunteer      string       `json:"volunteer"`
	Idle           string       `json:"idle"`
	Trouble        string       `json:"trouble"`
	TroubleUntil   int64        `json:"troubleUntil"`
	Totals         agent.Totals `json:"totals"`
	Unacknowledged int          `json:"unacknowledged"`
	Computing      float64      `json:"computing"` // seconds
	Load           float64      `json:"load"`
	Running        []running    `json:"running"`
	News           []news       `json:"news"`
}

type running struct {
	Slot  int    `json:"slot"`
	Job   string `json:"job"`
	Title string `json:"title"`
	Task  uint32 `json:"task"`
	Since int64  `json:"since"`
}

type news struct {
	Event  agent.EventKind `json:"event"`
	Job    string          `json:"job,omitempty"`
	Title  string          `json:"title,omitempty"`
	Task   uint32          `json:"task"`
	Millis float64         `json:"ms,omitempty"`
	Reason string          `json:"reason,omitempty"`
}

// A reporter tells the page what the agent does.
type reporter struct {
	host js.Value
	load load
	last []byte

	mu  sync.Mutex
	now status
}

func newReporter(host js.Value, h wire.Hello) *reporter {
	return &reporter{host: host, now: status{
		Kind: "status", Connection: "connecting", Volunteer: wire.VolunteerID(h.Secret),
		Running: []running{}, News: []news{},
	}}
}

// hear notes what has happened.
func (r *reporter) hear(e agent.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &r.now
	switch e.Kind {
	case agent.Connected:
		s.Connection, s.Reason, s.RetryAt, s.Idle = "connected", "", 0, ""
	case agent.Disconnected:
		s.Connection, s.Reason, s.Idle = "offline", e.Reason, ""
		s.RetryAt = time.Now().Add(e.Retry).UnixMilli()
	case agent.Idle:
		s.Idle = e.Reason
	case agent.Computed, agent.TaskFailed, agent.Loading:
		s.Idle = ""
	case agent.Rejected, agent.Missing, agent.Trouble, agent.Ended:
	}
	if len(s.News) < maxNews && e.Kind != agent.Ended {
		s.News = append(s.News, news{e.Kind, e.Job, e.Title, e.Task, e.Took.Seconds() * 1000, e.Reason})
	}
}

// reportAll reports until ctx ends.
func (r *reporter) reportAll(ctx context.Context, a *agent.Agent) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	seen := make(chan agent.Status, 1)
	for {
		a.Look(func(s agent.Status) { seen <- s })
		select {
		case s := <-seen:
			r.report(s)
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// report tells the page if there is something new.
func (r *reporter) report(s agent.Status) {
	r.mu.Lock()
	now := r.now
	r.now.News = []news{}
	r.mu.Unlock()
	now.Totals, now.Unacknowledged, now.Computing = s.Totals, s.Unacknowledged, s.Computing.Seconds()
	if now.Trouble = s.Trouble; s.Trouble != "" {
		now.TroubleUntil = s.TroubleUntil.UnixMilli()
	}
	now.Load = math.Round(100*r.load.measure(s.Computing, s.Slots)) / 100
	for _, t := range s.Running {
		now.Running = append(now.Running, running{t.Slot, t.Job, t.Title, t.Task, t.Since.UnixMilli()})
	}
	if data, _ := json.Marshal(now); !bytes.Equal(data, r.last) {
		r.last = data
		r.host.Call("report", string(data))
	}
}

// loadOver is over how long the load is measured.
const loadOver = 5 * time.Second

// load measures which share of the slots' time is really computed.
type load struct{ samples []sample }

type sample struct {
	at   time.Time
	done time.Duration
}

func (l *load) measure(done time.Duration, slots int) float64 {
	now := time.Now()
	l.samples = append(l.samples, sample{now, done})
	for len(l.samples) > 2 && now.Sub(l.samples[1].at) > loadOver {
		l.samples = l.samples[1:]
	}
	first := l.samples[0]
	if span := now.Sub(first.at); span > 0 {
		return min(1, float64(done-first.done)/float64(span)/float64(slots))
	}
	return 0
}
