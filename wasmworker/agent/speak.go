package agent

import (
	"time"

	"potluck/wire"
)

// maxUnacknowledged is how many answers may wait before no more leases are taken.
const maxUnacknowledged = 8192

// credit is how many leases in all the agent is ready to have got in this session.
func (a *Agent) credit() uint64 {
	l := a.link
	if a.waits(time.Now()) {
		return l.credit
	}
	want := a.Limits.Slots*(1+a.pace.ahead()) - (len(a.tasks) - len(a.answers))
	if a.ending || a.Limits.Paused || l.drained || want <= 0 || len(a.answers) > maxUnacknowledged {
		return l.credit
	}
	if a.MaxTasks > 0 {
		want = min(want, int(a.MaxTasks-min(a.got, a.MaxTasks)))
	}
	return max(l.credit, l.received+uint64(want))
}

// speak says what there is to say, unless the last message is still under way
// or it may as well wait.
func (a *Agent) speak() {
	l := a.link
	if l == nil || l.busy {
		return
	}
	var m wire.FromWorker
	if c := a.credit(); c > l.credit && a.worthTelling(c) {
		m.Credit = c
	}
	if a.resized {
		m.Slots = a.Limits.Slots
	}
	if m.Credit == 0 && m.Slots == 0 && len(a.returns) == 0 && a.lingers() {
		return
	}
	m.Results, m.Returns = a.nextResults(), a.returns
	if len(m.Results) == 0 && len(m.Returns) == 0 && m.Credit == 0 && m.Slots == 0 {
		return
	}
	l.busy = true
	l.outgoing <- m // it has room for one
	l.credit = max(l.credit, m.Credit)
	a.returns, a.resized = nil, false
}

// lingers says whether the answers may wait for others to go with them: while
// there is more to compute than the slots have begun, nobody waits for the
// message, and each one costs both sides more than a result in it.
func (a *Agent) lingers() bool {
	if a.unsent == len(a.answers) || len(a.ready) == 0 || a.ending {
		return false
	}
	wait := time.Until(a.answers[a.unsent].since.Add(a.Linger))
	if wait > 0 && a.alarm == nil {
		a.alarm = time.After(wait)
	}
	return wait > 0
}

// nextResults takes as many answers as fit into a message.
func (a *Agent) nextResults() (results []wire.Result) {
	size, now := 0, time.Now()
	for _, t := range a.answers[a.unsent:] {
		size += t.result.Size()
		if len(results) > 0 && (size > wire.MaxBatch || len(results) == maxResults) {
			break
		}
		t.since = now
		results = append(results, *t.result)
	}
	a.unsent += len(results)
	return results
}

// maxResults is how many results go into one message.
const maxResults = 4096

// worthTelling keeps an agent with plenty to do from asking for every single
// task: it asks when half of what it may have is missing.
func (a *Agent) worthTelling(credit uint64) bool {
	all := uint64(a.Limits.Slots * (1 + a.pace.ahead()))
	return credit-a.link.received >= (all+1)/2
}
