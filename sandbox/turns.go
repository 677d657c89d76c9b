package sandbox

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// An Account is whom a turn is charged to: one of an owner's jobs. Turns are
// shared evenly between owners, and those of an owner between their jobs.
type Account struct{ Owner, Job string }

// Turns shares places between accounts by the time that each has had one. Whoever
// comes after having had none starts level with those who have had least: nobody
// saves turns up.
type Turns struct {
	mu      sync.Mutex
	places  int // that are free
	kept    int // likewise, of those that only brief turns may have
	waiting []*Turn
	running []*Turn
	owners  map[string]time.Duration // that they have had a place
	jobs    map[Account]time.Duration
}

// NewTurns starts with so many free places, and so many more that are kept for
// brief turns.
func NewTurns(places, kept int) *Turns {
	return &Turns{places: places, kept: kept, owners: map[string]time.Duration{}, jobs: map[Account]time.Duration{}}
}

// A Turn is a place, or waits for one.
type Turn struct {
	turns   *Turns
	account Account
	brief   bool
	in      bool // one of the places that are kept
	granted chan struct{}
	charged time.Time // up to when its time is counted
	tired   bool      // others may have its place from now on
	timer   *time.Timer
	giveWay func() // has the turn end early
}

// Take waits for a turn. It must be left.
func (t *Turns) Take(ctx context.Context, a Account) (*Turn, error) {
	w := &Turn{account: a}
	return w, t.take(ctx, w)
}

func (t *Turns) take(ctx context.Context, w *Turn) error {
	w.turns, w.granted = t, make(chan struct{})
	t.mu.Lock()
	t.arrive(w)
	t.mu.Unlock()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting, w)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 { // it was granted just now
		w.Leave()
	}
	return ctx.Err()
}

// Leave gives the place to the next.
func (w *Turn) Leave() {
	t := w.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	t.charge()
	if w.timer != nil {
		w.timer.Stop()
	}
	t.running = slices.DeleteFunc(t.running, func(r *Turn) bool { return r == w })
	if w.in {
		t.kept++
	} else {
		t.places++
	}
	t.grant()
}

// endAfter has a turn that was granted give way to another account's, once it has
// lasted so long and that one has had less.
func (w *Turn) endAfter(slice time.Duration, giveWay func()) {
	t := w.turns
	t.mu.Lock()
	defer t.mu.Unlock()
	w.giveWay = giveWay
	w.timer = time.AfterFunc(slice, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		w.tired = true
		t.charge()
		t.relieve()
	})
}

// arrive puts a turn at the end of those that wait.
func (t *Turns) arrive(w *Turn) {
	t.charge()
	t.level(w.account)
	t.waiting = append(t.waiting, w)
	t.grant()
	t.relieve()
}

// charge counts the time of those who have a place.
func (t *Turns) charge() {
	now := time.Now()
	for _, r := range t.running {
		t.owners[r.account.Owner] += now.Sub(r.charged)
		t.jobs[r.account] += now.Sub(r.charged)
		r.charged = now
	}
}

// level starts an account that comes with what the others have had least, and
// forgets those who are not here and have had no more than that.
func (t *Turns) level(a Account) {
	here, jobs := map[string]bool{}, map[Account]bool{}
	for _, w := range slices.Concat(t.waiting, t.running) {
		here[w.account.Owner], jobs[w.account] = true, true
	}
	if !here[a.Owner] {
		level(t.owners, a.Owner, func(string) bool { return true }, here)
	}
	if !jobs[a] {
		level(t.jobs, a, func(b Account) bool { return b.Owner == a.Owner }, jobs)
	}
	for b := range t.jobs { // of owners who were forgotten
		if _, known := t.owners[b.Owner]; !known {
			delete(t.jobs, b)
		}
	}
}

// level compares who comes with those that among says.
func level[K comparable](had map[K]time.Duration, comes K, among func(K) bool, here map[K]bool) {
	least, some := time.Duration(0), false
	for k, d := range had {
		if among(k) && here[k] && (!some || d < least) {
			least, some = d, true
		}
	}
	for k, d := range had {
		if among(k) && !here[k] && (!some || d <= least) {
			delete(had, k)
		}
	}
	had[comes] = max(had[comes], least)
}

// before says whose turn comes first, by what they have had.
func (t *Turns) before(a, b *Turn) int {
	return cmp.Or(cmp.Compare(t.owners[a.account.Owner], t.owners[b.account.Owner]), cmp.Compare(t.jobs[a.account], t.jobs[b.account]))
}

// grant gives the free places to those who have had least, of whom the first
// that came.
func (t *Turns) grant() {
	for {
		w := t.next(func(w *Turn) bool { return t.places > 0 || w.brief && t.kept > 0 })
		if w == nil {
			return
		}
		if w.in = t.places == 0; w.in {
			t.kept--
		} else {
			t.places--
		}
		t.waiting = slices.DeleteFunc(t.waiting, func(other *Turn) bool { return other == w })
		w.charged = time.Now()
		t.running = append(t.running, w)
		close(w.granted)
	}
}

// next is the turn that comes first, of those that fit; nil if there is none.
func (t *Turns) next(fits func(*Turn) bool) (first *Turn) {
	for _, w := range t.waiting {
		if fits(w) && (first == nil || t.before(w, first) < 0) {
			first = w
		}
	}
	return first
}

// relieve ends the turn that has lasted too long, if another account waits that
// has had less: one at a time.
func (t *Turns) relieve() {
	w := t.next(func(w *Turn) bool { return !w.brief })
	if w == nil {
		return
	}
	var most *Turn
	for _, r := range t.running {
		switch {
		case r.tired && r.giveWay == nil:
			return // one is about to leave
		case r.tired && r.account != w.account && t.before(w, r) < 0 && (most == nil || t.before(most, r) < 0):
			most = r
		}
	}
	if most != nil {
		most.giveWay()
		most.giveWay = nil
	}
}
