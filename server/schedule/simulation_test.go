package schedule

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var seeds = flag.Int("seeds", 300, "how many seeds the simulation plays")

// A character is how a simulated volunteer behaves.
type character struct {
	lies, fails, vanishes float64 // chances a task
	slowness              int     // seconds a task, at least 1
}

// world is a simulation: volunteers, their leases and a clock around one job.
type world struct {
	r       *rand.Rand
	job     *Job
	now     Time
	people  []character
	leases  []Effect // lent and not answered
	log     []Event
	times   []Time
	effects []Effect
	judged  []uint32        // the referee has them
	right   map[uint32]bool // accepted, and by honest voters
	ended   string
}

func newWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 1))
	c := Config{Tasks: 1 + r.IntN(200), TimeLimit: 60 * Second, Seed: [32]byte(binary.LittleEndian.AppendUint64(make([]byte, 0, 32), seed)[:32]), Referees: 1 + r.IntN(3)} // newcomers need a referee
	honest := 4 + r.IntN(4)
	switch r.IntN(3) {
	case 0:
		c.Policy = Policy{Strict, 2 + r.IntN(2)}
	case 1:
		c.Policy.Trust = Adaptive
	}
	if r.IntN(2) == 0 {
		c.Established, c.Seniors = 20, 20
	}
	w := &world{r: r, job: New(c), right: map[uint32]bool{}}
	for range honest {
		w.people = append(w.people, character{slowness: 1 + r.IntN(5), vanishes: 0.1 * r.Float64()})
	}
	if c.Policy.Trust != Trusted { // each lies in their own way, so they never agree
		for range r.IntN(4) {
			w.people = append(w.people, character{lies: r.Float64(), fails: 0.2 * r.Float64(), slowness: 1 + r.IntN(90)})
		}
	}
	return w
}

func (w *world) step(e Event) {
	w.log, w.times = append(w.log, e), append(w.times, w.now)
	from := len(w.effects)
	w.effects = w.job.Step(w.now, e, w.effects)
	for _, f := range w.effects[from:] {
		switch f.Kind {
		case Lend:
			w.leases = append(w.leases, f)
		case Revoke:
			w.leases = slices.DeleteFunc(w.leases, func(l Effect) bool { return l.Task == f.Task && l.Worker == f.Worker })
		case Accept:
			w.right[f.Task] = e.Digest == honestDigest(f.Task)
		case Retract:
			delete(w.right, f.Task)
		case Judge:
			w.judged = append(w.judged, f.Task)
		case Finish:
			w.ended = "finished"
		case Fail:
			w.ended = f.Reason
		case Pending, Late, Refuse, Dissent, Confirm, Conduct, Alarm, Skip:
		}
	}
}

func honestDigest(task uint32) Digest { return Digest{byte(task), byte(task >> 8), 1} }

// play lets things happen until the job ends, at most so many.
func (w *world) play(limit int) {
	for range limit {
		if w.ended != "" {
			return
		}
		w.now += Time(w.r.IntN(2)) * Second
		who := uint32(w.r.IntN(len(w.people)))
		switch w.r.IntN(8) {
		case 0:
			w.step(Event{Kind: Tick})
			w.judge()
		case 1, 2, 3:
			w.step(Event{Kind: Want, Volunteer: who, Worker: who, N: 1 + w.r.IntN(5)})
		default:
			w.answer()
		}
	}
}

// judge has the referee answer, who fails now and then: by the server's fault, or
// for lack of time where there are volunteers enough who can decide instead.
func (w *world) judge() {
	if len(w.judged) == 0 || w.ended != "" {
		return
	}
	task := w.judged[0]
	w.judged = w.judged[1:]
	switch w.r.IntN(100) {
	case 0:
		w.step(Event{Kind: NoVerdict, Task: task, Blame: OfMachine, Reason: "the disk is full"})
	case 1:
		if !w.decisive() {
			w.judged = append(w.judged, task)
			return
		}
		w.step(Event{Kind: NoVerdict, Task: task, Digest: Digest{8}, Blame: Elsewhere, Reason: "out of time"})
	default:
		w.step(Event{Kind: Verdict, Task: task, Digest: honestDigest(task)})
	}
}

// decisive says whether enough are believed to decide on a task, whatever became of it.
func (w *world) decisive() bool {
	believed := 0
	for v := range w.people {
		if w.job.counts(Volunteer(v)) {
			believed++
		}
	}
	return believed > w.job.config.Policy.Quorum+1
}

func (w *world) answer() {
	if len(w.leases) == 0 {
		return
	}
	i := w.r.IntN(len(w.leases))
	l := w.leases[i]
	c := w.people[l.Volunteer]
	if w.r.IntN(c.slowness) > 0 {
		return // not ready
	}
	w.leases = slices.Delete(w.leases, i, i+1)
	e := Event{Kind: Result, Volunteer: l.Volunteer, Worker: l.Worker, Task: l.Task, Digest: honestDigest(l.Task), Took: Time(c.slowness) * Second}
	switch p := w.r.Float64(); {
	case p < c.vanishes:
		w.leases = slices.DeleteFunc(w.leases, func(o Effect) bool { return o.Worker == l.Worker })
		e = Event{Kind: Gone, Worker: l.Worker}
	case p < c.vanishes+c.fails:
		e.Kind, e.Reason, e.Digest = Failure, "out of luck", Digest{byte(l.Volunteer)}
	case w.r.Float64() < c.lies:
		e.Digest = Digest{9, byte(l.Volunteer), 9}
	}
	w.step(e)
}

// Every job ends, with what the honest ones said. Adaptive may be deceived now
// and then: scripts/trust says how often in a grid of some size.
func TestSimulation(t *testing.T) {
	deceived, adaptive := 0, 0
	for seed := range uint64(*seeds) {
		w := newWorld(seed)
		w.play(200_000)
		if w.ended != "finished" || len(w.right) != w.job.config.Tasks {
			t.Fatalf("seed %d: %d of %d tasks accepted, ended %q", seed, len(w.right), w.job.config.Tasks, w.ended)
		}
		if w.job.config.Policy.Trust == Adaptive {
			adaptive += len(w.right)
		}
		for task, right := range w.right {
			switch {
			case right:
			case w.job.config.Policy.Trust == Adaptive:
				deceived++
			default:
				t.Fatalf("seed %d: a lie was accepted for task %d", seed, task)
			}
		}
		if c := w.job.Counts(); c.Open != 0 || c.Lent != 0 || c.Waiting != 0 || w.job.shares.used != 0 {
			t.Fatalf("seed %d: something is left over: %+v", seed, c)
		}
	}
	if deceived > adaptive/500 {
		t.Fatalf("%d lies were accepted for %d tasks", deceived, adaptive)
	}
	t.Logf("%d lies were accepted for %d tasks", deceived, adaptive)
}

// The same events give the same effects, byte for byte.
func TestReplay(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(seed)
		w.play(5000)
		again := New(w.job.config)
		var effects []Effect
		for i, e := range w.log {
			effects = again.Step(w.times[i], e, effects)
		}
		if fmt.Sprint(effects) != fmt.Sprint(w.effects) || !reflect.DeepEqual(again.Counts(), w.job.Counts()) {
			t.Fatalf("seed %d: the replay went another way", seed)
		}
	}
}

// Whatever happens, in any order: nobody holds two copies of a task, nothing is
// accepted twice, and the books balance.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{
			Tasks: rapid.IntRange(1, 20).Draw(t, "tasks"), TimeLimit: 60 * Second,
			Seniors: rapid.SampledFrom([]int{0, 20}).Draw(t, "seniors"), Referees: rapid.IntRange(0, 2).Draw(t, "referees"),
			Skip: rapid.Bool().Draw(t, "skip"),
		}
		c.Policy = rapid.SampledFrom([]Policy{{}, {Trust: Adaptive}, {Strict, 2}, {Strict, 3}}).Draw(t, "policy")
		j := New(c)
		now := Time(0)
		accepted, judged := map[uint32]bool{}, []uint32{}
		for _, e := range rapid.SliceOfN(anyEvent(c.Tasks), 0, 200).Draw(t, "events") {
			now += Time(rapid.IntRange(0, 40).Draw(t, "pause")) * Second
			if e.Kind == Verdict || e.Kind == NoVerdict {
				if len(judged) == 0 {
					continue
				}
				e.Task, judged = judged[0], judged[1:]
			}
			for _, f := range j.Step(now, e, nil) {
				switch f.Kind {
				case Accept:
					if accepted[f.Task] || len(f.Votes) == 0 && !f.Sure || f.Tries < len(f.Votes)+f.Dissents {
						t.Fatalf("accepted task %d again, or on %d votes of %d, %d against", f.Task, len(f.Votes), f.Tries, f.Dissents)
					}
					if q := j.config.Policy.Quorum; c.Policy.Trust == Strict && len(f.Votes) < q && !f.Sure {
						t.Fatalf("accepted task %d on %d votes", f.Task, len(f.Votes))
					}
					accepted[f.Task] = true
				case Retract:
					if !accepted[f.Task] {
						t.Fatalf("took back task %d, which was not accepted", f.Task)
					}
					delete(accepted, f.Task)
				case Judge:
					judged = append(judged, f.Task)
				case Skip:
					if !c.Skip || !j.Skipped(f.Task) || accepted[f.Task] {
						t.Fatalf("task %d is skipped", f.Task)
					}
				case Fail:
					if c.Skip && j.Counts().Skipped < c.Tasks {
						t.Fatalf("failed with %+v though tasks are skipped: %s", j.Counts(), f.Reason)
					}
					if !strings.Contains(f.Reason, "task") {
						t.Fatalf("failed without a reason: %q", f.Reason)
					}
				case Lend, Pending, Late, Refuse, Revoke, Confirm, Conduct, Dissent, Alarm, Finish:
				}
			}
			check(t, j)
			checkKept(t, j, len(accepted))
			checkTiles(t, j, rapid.IntRange(1, c.Tasks+1).Draw(t, "size"))
		}
	})
}

// checkKept holds the accepted results against who stands by them.
func checkKept(t *rapid.T, j *Job, accepted int) {
	counted, kepts, vouches, asked, audits := 0, 0, 0, 0, 0
	for task := range j.config.Tasks {
		if j.Accepted(uint32(task)) {
			counted++
		}
		if j.states[task] == open && j.kept(uint32(task)) != none {
			asked++
		}
		if j.states[task] == open && j.opens.at(j.slots[task]).audit {
			audits++
		}
		i := j.kept(uint32(task))
		if i == none {
			continue
		}
		kepts++
		if k := j.kepts.at(i); k.first == none && !k.sure {
			t.Fatalf("nobody stands by task %d", task)
		}
		for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
			vouches++
			if v := j.vouches.at(w).volunteer; j.person(v).Standing == Quarantined {
				t.Fatalf("a liar stands by task %d", task)
			}
		}
	}
	if !j.over && counted != accepted || counted < j.accepted-j.skipped || kepts != j.kepts.used || vouches != j.vouches.used || asked != j.asked || audits != j.audits {
		t.Fatalf("%d accepted of %d, %d; %d kept of %d, %d vouches of %d, %d asked of %d, %d audits of %d",
			counted, accepted, j.accepted, kepts, j.kepts.used, vouches, j.vouches.used, asked, j.asked, audits, j.audits)
	}
	for v := range j.people {
		for w := j.people[v].first; w != none; w = j.vouches.at(w).older {
			vouches--
		}
	}
	if vouches != 0 {
		t.Fatalf("%d vouches are nobody's", vouches)
	}
}

// checkTiles holds tiles of a size against the shares of each task and against
// the counts of the job.
func checkTiles(t *rapid.T, j *Job, size int) {
	want := make([]Tile, (j.config.Tasks+size-1)/size)
	opened := 0
	for task := range j.config.Tasks {
		tile := &want[task/size]
		if j.Accepted(uint32(task)) {
			tile.Done++
			continue
		}
		state, failures := Lapsed, uint32(0)
		shares := j.Shares(uint32(task))
		for _, s := range shares {
			switch s.State {
			case Computing:
				state = Computing
			case Answered:
				if state != Computing {
					state = Answered
				}
			case Failed:
				failures = 1
			case Lapsed:
			}
		}
		tile.Failed += failures
		switch state {
		case Computing:
			tile.Lent++
		case Answered:
			tile.Voting++
		case Failed, Lapsed:
		}
		if j.states[task] == open { // one that was taken back has no shares
			opened++
		}
	}
	got := j.Tiles(size)
	for i := range got {
		if got[i].Failed < want[i].Failed { // who failed may try again under trusted: then only the task remembers
			t.Fatalf("tiles of %d: %+v, the shares say %+v", size, got, want)
		}
		want[i].Failed = got[i].Failed
	}
	if !slices.Equal(got, want) || opened != j.Counts().Open {
		t.Fatalf("tiles of %d: %+v, the shares say %+v; %d open of %d", size, got, want, opened, j.Counts().Open)
	}
}

// anyKind has what happens often more often.
var anyKind = []EventKind{
	Want, Want, Want, Result, Result, Result, Result, Failure, Return, Gone, Tick, Tick, Gap, Pause, Hold, Resume, Resume, Know, Verdict, Verdict, NoVerdict,
}

func anyEvent(tasks int) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		who := rapid.Uint32Range(0, 3).Draw(t, "who")
		return Event{
			Kind:      rapid.SampledFrom(anyKind).Draw(t, "kind"),
			Volunteer: who, Worker: 2*who + rapid.Uint32Range(0, 1).Draw(t, "worker"),
			Task:       rapid.Uint32Range(0, uint32(tasks-1)).Draw(t, "task"),
			N:          rapid.IntRange(0, 4).Draw(t, "n"),
			Slots:      rapid.IntRange(0, 3).Draw(t, "slots"),
			Blame:      Blame(rapid.IntRange(0, 3).Draw(t, "blame")),
			Digest:     Digest{rapid.ByteRange(0, 1).Draw(t, "digest")},
			Took:       Second,
			Reputation: Reputation{Standing: Standing(rapid.IntRange(0, 9).Draw(t, "standing") / 4), Checked: rapid.IntRange(0, 300).Draw(t, "checked")},
			Trusted:    rapid.IntRange(0, 5).Draw(t, "trusted") == 0,
			Network:    rapid.Uint32Range(0, 2).Draw(t, "network"),
			Machine:    rapid.Uint32Range(0, 2).Draw(t, "machine"),
		}
	})
}

// check holds the parts of the state against each other.
func check(t *rapid.T, j *Job) {
	lentShares, shares := 0, 0
	for task, slot := range j.slots {
		if j.states[task] != open {
			continue
		}
		o := j.opens.at(slot)
		seen := map[Volunteer]bool{}
		before := lentShares
		for i := o.first; i != none; i = j.shares.at(i).next {
			s := j.shares.at(i)
			shares++
			if seen[s.volunteer] {
				t.Fatalf("volunteer %d has two shares in task %d", s.volunteer, task)
			}
			seen[s.volunteer] = true
			if s.state == lent {
				lentShares++
			}
		}
		if !j.over && j.missing(o) > 0 && !o.queued && lentShares == before && (o.accepted == none || o.audit) {
			t.Fatalf("task %d misses copies and waits nowhere", task)
		}
	}
	listed := checkLeases(t, j)
	if c := j.Counts(); listed != lentShares || c.Lent != lentShares || shares != j.shares.used {
		t.Fatalf("%d lent, %d listed, %d counted; %d shares of %d", lentShares, listed, c.Lent, shares, j.shares.used)
	}
}

// checkLeases holds the lists of leases against each other, and counts them.
func checkLeases(t *rapid.T, j *Job) (listed int) {
	t.Helper()
	begun, waiting, laden := 0, 0, 0
	for w := range j.workers {
		c := &j.workers[w]
		held, waits := 0, 0
		for i := c.first; i != none; i = j.leases.at(i).after {
			held++
			switch l := j.leases.at(i); {
			case int(j.shares.at(l.share).worker) != w:
				t.Fatalf("worker %d has a lease of worker %d", w, j.shares.at(l.share).worker)
			case l.begun:
				begun++
			default:
				waits++
			}
		}
		if held != int(c.held) || held-waits != int(c.begun) || waits > 0 && c.begun < c.slots || (c.next != none) != (waits > 0) {
			t.Fatalf("worker %d: %d held, %d wait: %+v", w, held, waits, c)
		}
		if waits > 0 {
			laden++
			if j.laden[c.place] != Worker(w) {
				t.Fatalf("worker %d is not at its place", w)
			}
		}
		listed, waiting = listed+held, waiting+waits
	}
	aged := 0
	for level, a := range j.ages {
		prompt := false
		for i := a.oldest; i != none; i = j.leases.at(i).newer {
			aged++
			prompt = prompt || i == a.prompt
			if l := j.leases.at(i); l.late == prompt || int(l.level) != level {
				t.Fatalf("level %d: %+v beside those that are not late: %t", level, l, prompt)
			}
		}
	}
	if aged != begun || waiting != j.waiting || laden != len(j.laden) {
		t.Fatalf("%d begun, %d listed; %d wait, %d counted; %d laden of %d", begun, aged, waiting, j.waiting, laden, len(j.laden))
	}
	return listed
}

// A crew is a worker of the simulation of stragglers: it computes its leases in
// order, some at a time, until it freezes.
type crew struct {
	slots  int
	frozen bool
	queue  []Effect        // leases that wait
	ends   map[uint32]Time // when it will be done with a task
}

// A yard is workers, a clock and a job whose tasks take different times.
type yard struct {
	job     *Job
	now     Time
	times   []Time // by task
	crews   []*crew
	ended   bool
	revoked int
}

func (y *yard) step(e Event) {
	for _, f := range y.job.Step(y.now, e, nil) {
		switch f.Kind {
		case Lend:
			y.crews[f.Worker].queue = append(y.crews[f.Worker].queue, f)
		case Revoke:
			c := y.crews[f.Worker]
			c.queue = slices.DeleteFunc(c.queue, func(l Effect) bool { return l.Task == f.Task })
			delete(c.ends, f.Task)
			y.revoked++
		case Finish:
			y.ended = true
		case Accept, Pending, Late, Refuse, Confirm, Retract, Judge, Conduct, Dissent, Alarm, Fail, Skip:
		}
	}
}

// ask has all workers ask for as much as they may have while something is lent,
// as gateways do after each offer, and begin what they have slots for.
func (y *yard) ask() {
	for before := -1; before != y.job.Counts().Lent && !y.ended; {
		before = y.job.Counts().Lent
		for w, c := range y.crews {
			y.step(Event{Kind: Want, Volunteer: Volunteer(w), Worker: Worker(w), N: 100, Slots: c.slots})
		}
	}
	for _, c := range y.crews {
		for !c.frozen && len(c.ends) < c.slots && len(c.queue) > 0 {
			task := c.queue[0].Task
			c.queue = c.queue[1:]
			c.ends[task] = y.now + y.times[task]
		}
	}
}

// advance goes on to what happens next: an answer, the time, or what is at most.
func (y *yard) advance(most Time) {
	at, by, task := most, -1, uint32(0)
	if due, ok := y.job.Next(); ok {
		at = min(at, due)
	}
	for w, c := range y.crews {
		for t, end := range c.ends {
			if !c.frozen && (end < at || end == at && (by < 0 || by == w && t < task)) {
				at, by, task = end, w, t
			}
		}
	}
	y.now = max(y.now, at)
	if by < 0 {
		y.step(Event{Kind: Tick})
		return
	}
	delete(y.crews[by].ends, task)
	y.step(Event{Kind: Result, Volunteer: Volunteer(by), Worker: Worker(by), Task: task, Took: y.times[task]})
}

// A worker that freezes at any time delays the end by what it takes to see that,
// and one task, beyond what the others need for what is left.
func TestFrozenWorkersDelayTheEndByLittle(t *testing.T) {
	for seed := range uint64(*seeds) {
		r := rand.New(rand.NewPCG(seed, 3))
		mean := Second / Time(1+r.IntN(50))
		y := &yard{times: make([]Time, 20+r.IntN(200))}
		y.job = New(Config{Tasks: len(y.times), TimeLimit: 60 * Second})
		var longest Time
		for i := range y.times {
			y.times[i] = mean/2 + r.Int64N(mean)
			longest = max(longest, y.times[i])
		}
		capacity := 0
		for range 3 + r.IntN(3) {
			y.crews = append(y.crews, &crew{slots: 1 + r.IntN(3), ends: map[uint32]Time{}})
			capacity += y.crews[len(y.crews)-1].slots
		}
		frozen := y.crews[0]
		freezesAt := r.Int64N(mean * Time(len(y.times)) / Time(capacity))
		for y.ask(); !y.ended && y.now < freezesAt; y.ask() {
			y.advance(freezesAt)
		}
		frozen.frozen = true
		left := Time(0)
		for task, time := range y.times {
			if !y.job.Accepted(uint32(task)) {
				left += time
			}
		}
		limit := y.now + left/Time(capacity-frozen.slots) + max(2*Second, 4*mean) + longest
		for ; !y.ended; y.ask() {
			if y.advance(limit); y.now >= limit && !y.ended {
				t.Fatalf("seed %d: froze at %v; not over %v later: %+v", seed, time.Duration(freezesAt)*time.Microsecond, time.Duration(limit-freezesAt)*time.Microsecond, y.job.Counts())
			}
		}
	}
}
