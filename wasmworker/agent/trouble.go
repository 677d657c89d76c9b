package agent

import (
	"fmt"
	"time"

	"potluck/wire"
)

// kindCrash is the kind of a failure that may be the machine's or the program's.
const kindCrash = "crash"

// machines are the kinds of failures that are not the task's, as in package
// sandbox.
var machines = map[string]bool{kindCrash: true, "module": true, "machine": true}

// A trouble is what keeps this machine from computing the tasks of a module, or
// any. It ends with the first of them that computes.
type trouble struct {
	reason string
	times  int // in a row
	until  time.Time
	own    bool // of the module: this machine has computed another's tasks since
}

// machine stands in for a module where the trouble is with every module.
const machine = ""

const (
	// troubleFirst is how long the first trouble lasts; each one in a row lasts
	// twice as long.
	troubleFirst = time.Second
	// troubleMost is how often in a row it may come before it lasts troubleLong.
	troubleMost = 5
	troubleLong = 10 * time.Minute
	// lullFirst is how long an agent asks for nothing that has just given tasks
	// back unseen: else they would come and go as fast as the network is. It
	// doubles up to lullMost as long as nothing is computed.
	lullFirst = 250 * time.Millisecond
	lullMost  = 2 * time.Second
	// maxTroubles is how many modules with trouble are remembered.
	maxTroubles = 100
)

// troubled notes that this machine could not compute a task of a module, slows
// it down, and tells its owner. What comes while it is slowed down already was
// under way, and says nothing new.
func (a *Agent) troubled(hash string, f *wire.Failure) {
	now := time.Now()
	whose := a.whose(hash, f)
	t := a.troubleOf(whose)
	if now.Before(t.until) {
		return
	}
	t.reason, t.own = f.Message, false
	t.times++
	wait := troubleFirst << (t.times - 1)
	if t.times >= troubleMost {
		wait = troubleLong
	}
	t.until = now.Add(wait)
	a.giveBackSome(a.declines)
	a.tellOwner(whose, t, wait)
}

// whose is whose trouble a failure is: a module that does not compile here or
// crashes may do so elsewhere, unless another module has trouble too.
func (a *Agent) whose(hash string, f *wire.Failure) string {
	if f.Kind == "machine" {
		return machine
	}
	for other, t := range a.trouble {
		if other != hash && !t.own {
			return machine
		}
	}
	return hash
}

func (a *Agent) troubleOf(hash string) *trouble {
	t := a.trouble[hash]
	if t == nil {
		if len(a.trouble) >= maxTroubles {
			clear(a.trouble)
		}
		t = &trouble{}
		a.trouble[hash] = t
	}
	return t
}

// tellOwner says what is wrong in words for people.
func (a *Agent) tellOwner(whose string, t *trouble, wait time.Duration) {
	reason := t.reason
	switch {
	case whose != machine:
		reason = fmt.Sprintf("tasks of module %.12s go back to the grid: %s", whose, t.reason)
	case wait == troubleLong:
		reason = fmt.Sprintf("this machine has stopped asking for work: %s; it tries again in %d minutes", t.reason, int(wait.Minutes()))
	}
	if whose == machine {
		t.reason = reason
	}
	a.Log.Warn("this machine has trouble", "reason", reason, "retry", wait)
	a.observe(Event{Kind: Trouble, Reason: reason, Retry: wait})
}

// recovered notes that a task of a module was computed.
func (a *Agent) recovered(hash string) {
	delete(a.trouble, hash)
	delete(a.trouble, machine)
	for _, t := range a.trouble {
		t.own = true
	}
	a.lulls = 0
}

// declines says whether a task goes back unseen. What the grid has for this
// machine is no use then, so the agent asks for nothing for a little while.
func (a *Agent) declines(t *task) bool {
	now := time.Now()
	for _, whose := range []string{t.hash, machine} {
		if trouble := a.trouble[whose]; trouble != nil && now.Before(trouble.until) {
			if now.After(a.quiet) {
				a.quiet = now.Add(min(lullMost, lullFirst<<a.lulls))
				a.lulls = min(a.lulls+1, 8)
			}
			return true
		}
	}
	return false
}

// waits says whether the agent asks for nothing now. The loop wakes up when that
// is over.
func (a *Agent) waits(now time.Time) bool {
	until := a.quiet
	if t := a.trouble[machine]; t != nil && t.until.After(until) {
		until = t.until
	}
	wait := until.Sub(now)
	if wait > 0 && a.resume == nil {
		a.resume = time.After(wait)
	}
	return wait > 0
}
