package schedule

import (
	"math"
	"math/rand/v2"
)

// Rules of thumb; docs/architecture.md says why these.
const (
	// graceTime is what every lease has on top of the expected computing.
	graceTime = 30 * Second
	// slack is how many times the expected computing a lease may take.
	slack = 10
	// scanLimit bounds how far one event looks along the queue and the leases.
	scanLimit = 128
)

// none is the index of no share, no open task.
const none = math.MaxUint32

// The states of a task.
const (
	fresh   uint8 = iota // never lent
	open                 // lent or voted on; it has an entry in Job.opens
	done                 // accepted, or failed for good
	skipped              // left out, since it cannot be done
)

// A Job is the state of one job. Make it with New.
type Job struct {
	config Config
	rand   *rand.Rand
	doubt  doubt
	now    Time
	out    []Effect

	states   []uint8  // by task
	slots    []uint32 // by task: its entry in opens while it is open, in kepts once it is done
	next     int      // how many tasks of the order have been lent or passed over
	order    []uint32 // the tasks of the block that is lent now, in their order
	accepted int
	opens    slab[openTask]
	shares   slab[share]
	leases   slab[lease]
	queue    queue
	served   Time // when the queue last had what somebody could be lent, or was empty
	relaxed  bool // that was long ago: those who failed at a task may have it again
	avoided  bool // somebody was not lent what others are to have first
	present  int  // volunteers who have workers here

	kepts   slab[kept]
	vouches slab[vouch]
	asked   int // accepted tasks that are open again, for another opinion,
	audits  int // and those of them without which the job cannot end
	skipped int // tasks that are left out, which accepted counts too

	lastSkipped uint32 // the last of them, and why
	lastReason  string

	rounds int // of audits

	disputes   []uint32          // tasks that wait for the referee
	vain       map[uint32]Digest // how the referee failed at open tasks, by task
	judging    int               // tasks that the referee has
	seniors    int               // volunteers of the grid who are
	met        Time              // when one whose word counts was here last,
	turnedAway Time              // and a newcomer for whom there was nothing
	tried      int               // leases to newcomers that only try them
	turns      turns             // of newcomers

	ages         [levels]ages // leases that are being computed, by level
	people       []person     // by volunteer
	workers      []connection // by worker
	laden        []Worker     // those whose leases do not all fit into their slots
	waiting      int          // leases that wait in their workers' queues
	mean         Time         // of computing a task, exponentially weighted; 0 before the first
	paused, over bool
	held         bool // by an alarm: nothing is accepted either
	decided      bool // there is none any more
	kinds        []kindTally
	questions    []question // to others of a kind, one for each
}

// A person is a volunteer as the job knows them.
type person struct {
	Reputation
	trusted bool
	network uint32
	kind    uint32 // of machine
	turn    uint32 // grows whenever they may have what they had to pass over in the queue
	first   uint32 // vouch
	held    int32  // leases
	here    int32  // workers that asked and are not gone
	drawn   int    // answers of theirs that were chosen to be compared
	round   int    // of audits in which
	pledged int    // so many of their answers are looked at

	confirmed, differed bool // some answer was, see kindTally
	expelled            bool // in quarantine for this job
}

// An openTask is one that volunteers have to do with. Its shares form a list.
type openTask struct {
	task     uint32
	first    uint32 // share
	place    uint64 // in the queue, if queued
	accepted uint32 // its entry in kepts if it is accepted, else none
	failures uint8
	quorum   uint8 // how many must agree; 0 while nobody was lent it
	referee  uint8
	queued   bool
	audit    bool // another opinion on it is wanted before the job ends
	certain  bool // the referee says that it cannot be done
	confirm  bool // the referee is to confirm it
}

// What the referee has to do with an open task.
const (
	unasked uint8 = iota
	wanted
	asked
	inVain // it failed too: the volunteers have to decide
)

// A share is what one volunteer has to do with one open task.
type share struct {
	task, next uint32
	volunteer  Volunteer
	worker     Worker
	lease      uint32 // while it is lent
	span       uint32 // milliseconds that it took
	lent       Time
	digest     Digest
	state      uint8
	failures   uint8 // how often they failed at it, by the task's fault as far as they can tell
	doubts     uint8 // other faults of which they failed at it, a bit each
	returned   bool  // they gave it back
}

// The states of a share.
const (
	lent   uint8 = iota // being computed
	lapsed              // given back, or past its deadline: they may get it again
	voted
	failed
)

// New starts a job with all its tasks to do. The configuration is valid.
func New(c Config) *Job {
	if c.Policy.Trust != Strict {
		c.Policy.Quorum = 1
	}
	chances := rand.New(rand.NewChaCha8(c.Seed)) //nolint:gosec // nobody can guess what ChaCha8 draws from a secret seed
	j := &Job{
		config: c, states: make([]uint8, c.Tasks), slots: make([]uint32, c.Tasks),
		rand: chances, doubt: newDoubt(c), seniors: c.Seniors, decided: c.Decided,
		met: math.MinInt64 / 2, turnedAway: math.MinInt64 / 2, vain: map[uint32]Digest{}, turns: turns{had: map[uint32]int{}, asked: math.MinInt64 / 2},
	}
	for level := range j.ages {
		j.ages[level] = ages{none, none, none}
	}
	return j
}

// weighs says whether the job weighs what volunteers say. If not, everybody is
// believed, and nothing of this is needed.
func (j *Job) weighs() bool { return j.config.Policy.Trust != Trusted }

// Counts is how many tasks are in which state.
type Counts struct {
	Total, Accepted, Open, Lent, Waiting int
	More                                 int // what some may be lent though nothing waits: spot checks, and what waits in others' queues
	Skipped                              int // of those accepted, tasks that were left out instead
	Queued                               int // how often a task has come to wait for another copy
	Judged                               int // tasks that the referee computes, or is to,
	Vain                                 int // and those that wait for volunteers who are believed since it cannot
}

// Counts counts. Open tasks are lent or voted on; waiting ones can be lent now,
// replicas of stragglers included.
func (j *Job) Counts() Counts {
	c := Counts{
		Total: j.config.Tasks, Accepted: j.accepted, Skipped: j.skipped, Open: j.opens.used - j.asked,
		Lent: j.leases.used, Waiting: j.untouched() + j.queue.live, Queued: j.queue.pushed,
		Judged: j.judging + len(j.disputes), Vain: len(j.vain),
	}
	if c.Waiting == 0 && !j.over {
		c.More = j.spotChecks() + j.takeable()
	}
	return c
}

// untouched is how many tasks nobody was lent yet.
func (j *Job) untouched() int { return j.config.Tasks - j.accepted - (j.opens.used - j.asked) }

// Mean is the mean time that a task takes, 0 before the first result.
func (j *Job) Mean() Time { return j.mean }

// Accepted says whether a task is done, for all that is known by now.
func (j *Job) Accepted(task uint32) bool { return j.kept(task) != none || j.states[task] == done }

// Skipped says whether a task is left out.
func (j *Job) Skipped(task uint32) bool { return j.states[task] == skipped }

// Stands says whether a task is done with this result.
func (j *Job) Stands(task uint32, d Digest) bool {
	if i := j.kept(task); i != none {
		return j.kepts.at(i).digest == d
	}
	return j.states[task] == done
}

// Over says whether the job has ended.
func (j *Job) Over() bool { return j.over }

// touch gives the open entry of a task, making one if it has none.
func (j *Job) touch(task uint32) *openTask {
	if j.states[task] != open {
		o := openTask{task: task, first: none, accepted: none}
		if j.states[task] == done {
			o.accepted = j.slots[task]
			o.quorum = uint8(min(max(1, j.firm(o.accepted)), MaxQuorum))
			j.asked++
		}
		j.states[task] = open
		j.slots[task] = j.opens.take(o)
	}
	return j.opens.at(j.slots[task])
}

// person gives what is known of a volunteer.
func (j *Job) person(v Volunteer) *person {
	for int(v) >= len(j.people) {
		j.people = append(j.people, person{first: none})
	}
	return &j.people[v]
}

// share finds a volunteer's share in an open task.
func (j *Job) share(o *openTask, v Volunteer) (uint32, *share) {
	for i := o.first; i != none; {
		s := j.shares.at(i)
		if s.volunteer == v {
			return i, s
		}
		i = s.next
	}
	return none, nil
}

// addShare gives a volunteer a share in a task.
func (j *Job) addShare(o *openTask, v Volunteer, w Worker) (uint32, *share) {
	i := j.shares.take(share{task: o.task, next: o.first, volunteer: v, worker: w, state: lapsed})
	o.first = i
	return i, j.shares.at(i)
}

// dropShare takes a share that is not lent out of its task.
func (j *Job) dropShare(o *openTask, i uint32) {
	at := &o.first
	for *at != i {
		at = &j.shares.at(*at).next
	}
	*at = j.shares.at(i).next
	j.shares.give(i)
}

// tally counts the shares of an open task: replicas out that are not late, the
// votes of the largest party, and all shares, each of those whose word counts.
func (j *Job) tally(o *openTask) (out, agree, all int) {
	if o.accepted != none {
		agree = j.firm(o.accepted)
	}
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		if !j.counts(s.volunteer) {
			continue
		}
		all++
		switch {
		case s.state == lent:
			if !j.leases.at(s.lease).late {
				out++
			}
		case s.state == voted && o.accepted == none:
			agree = max(agree, j.party(o, voted, s.digest))
		}
	}
	return out, agree, all
}

// party counts the shares of those whose word counts that are in a state, with
// a digest; those of one network are one.
func (j *Job) party(o *openTask, state uint8, d Digest) (n int) {
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		if s.state == state && s.digest == d && j.counts(s.volunteer) && (n == 0 || !j.neighbour(o, i)) {
			n++
		}
	}
	return n
}

// neighbour says whether a share before one says the same, and is of its network.
func (j *Job) neighbour(o *openTask, share uint32) bool {
	s := j.shares.at(share)
	network := j.voter(s.volunteer)
	for i := o.first; i != share && network != 0; i = j.shares.at(i).next {
		if before := j.shares.at(i); before.state == s.state && before.digest == s.digest && j.voter(before.volunteer) == network {
			return true
		}
	}
	return false
}

// missing is how many more copies of a task should be lent. When enough agree
// already, since one of them is established by now, it still takes an answer
// to accept.
func (j *Job) missing(o *openTask) int {
	if o.referee == wanted || o.referee == asked || o.accepted != none && j.kepts.at(o.accepted).sure {
		return 0
	}
	out, agree, _ := j.tally(o)
	if n := max(1, int(o.quorum)) - agree - out; n > 0 {
		return n
	}
	if o.accepted == none && out == 0 {
		return 1
	}
	return 0
}

// requeue puts a task at the end of the queue if copies of it are missing.
func (j *Job) requeue(o *openTask) {
	if o.queued || j.missing(o) == 0 {
		return
	}
	if j.queue.live == 0 {
		j.served, j.relaxed = j.now, false
	}
	if j.queue.sparse() {
		j.queue.squeeze(func(task uint32, place uint64) { j.opens.at(j.slots[task]).place = place })
	}
	o.queued, o.place = true, j.queue.push(o.task)
}

// unqueue takes a task out of the queue if it is there.
func (j *Job) unqueue(o *openTask) {
	if o.queued {
		j.queue.drop(o.place)
		o.queued = false
	}
}

// settle closes an open task: its shares are dropped, its copies revoked.
func (j *Job) settle(o *openTask) {
	for i := o.first; i != none; {
		s := j.shares.at(i)
		following := s.next
		if s.state == lent {
			j.unlend(i)
			j.emit(Effect{Kind: Revoke, Task: o.task, Volunteer: s.volunteer, Worker: s.worker})
		}
		j.shares.give(i)
		i = following
	}
	j.unqueue(o)
	if len(j.vain) > 0 {
		delete(j.vain, o.task)
	}
	task, result := o.task, o.accepted
	j.opens.give(j.slots[task])
	j.states[task], j.slots[task] = done, result
}

// conclude ends the job when all its tasks are accepted and nothing speaks
// against any of them.
func (j *Job) conclude() {
	if j.over || j.held || j.accepted < j.config.Tasks || j.audits > 0 || j.questioned() || j.weighs() && j.audit() {
		return
	}
	j.end()
	if j.skipped == j.config.Tasks {
		j.emit(Effect{Kind: Fail, Task: j.lastSkipped, Reason: "every task failed and was skipped; the last one: " + j.lastReason})
		return
	}
	j.emit(Effect{Kind: Finish})
}

// end revokes whatever is lent and ends the job.
func (j *Job) end() {
	j.over = true
	for w := range j.workers {
		j.takeAll(Worker(w), func(s *share) {
			j.emit(Effect{Kind: Revoke, Task: s.task, Volunteer: s.volunteer, Worker: s.worker})
		})
	}
}
