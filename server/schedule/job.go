package schedule

import "math"

// Rules of thumb; docs/architecture.md says why these.
const (
	// maxFailures of distinct volunteers in the same way fail a task.
	maxFailures = 3
	// maxShares more volunteers than its quorum may try a task in vain, whatever they say.
	maxShares = 20
	// graceTime is what every lease has on top of the expected computing.
	graceTime = 30 * Second
	// slack is how many times the expected computing a lease may take.
	slack = 10
	// A copy is lent again near the end when it takes this long and this many
	// times the mean.
	stragglerTime  = Second
	stragglerSlack = 3
	// scanLimit bounds how far one event looks along the queue and the leases.
	scanLimit = 128
)

// none is the index of no share, no open task.
const none = math.MaxUint32

// The states of a task.
const (
	fresh uint8 = iota // never lent
	open               // lent or voted on; it has an entry in Job.opens
	done               // accepted, or failed for good
)

// A Job is the state of one job. Make it with New.
type Job struct {
	config Config
	now    Time
	out    []Effect

	states   []uint8  // by task
	slots    []uint32 // by task: its entry in opens while it is open
	next     uint32   // every task before it is not fresh
	accepted int
	opens    slab[openTask]
	shares   slab[share]
	queue    queue

	oldest, newest uint32   // the list of shares that are lent, by age
	cursors        []cursor // by volunteer: how far along the queue he was
	held           []int32  // by worker: how many leases it holds
	mean           Time     // of computing a task, exponentially weighted; 0 before the first
	paused, over   bool
}

// An openTask is one that volunteers have to do with. Its shares form a list.
type openTask struct {
	task     uint32
	first    uint32 // share
	place    uint64 // in the queue, if queued
	failures uint8
	queued   bool
}

// A share is what one volunteer has to do with one open task.
type share struct {
	task, next   uint32
	volunteer    Volunteer
	worker       Worker
	older, newer uint32 // in the list of lent shares
	state        uint8
	span         uint32 // milliseconds: while it is lent to its deadline, then what it took
	lent         Time
	digest       Digest
}

// The states of a share.
const (
	lent   uint8 = iota // being computed
	lapsed              // given back, or past its deadline: he may get it again
	voted
	failed
)

// New starts a job with all its tasks to do. The configuration is valid.
func New(c Config) *Job {
	if c.Policy.Trust != Strict {
		c.Policy.Quorum = 1
	}
	return &Job{
		config: c, states: make([]uint8, c.Tasks), slots: make([]uint32, c.Tasks),
		oldest: none, newest: none,
	}
}

// Counts is how many tasks are in which state.
type Counts struct {
	Total, Accepted, Open, Lent, Waiting int
	Queued                               int // how often a task has come to wait for another copy
}

// Counts counts. Open tasks are lent or voted on; waiting ones can be lent now.
func (j *Job) Counts() Counts {
	untouched := j.config.Tasks - j.accepted - j.opens.used
	return Counts{
		Total: j.config.Tasks, Accepted: j.accepted, Open: j.opens.used,
		Lent: j.lentCount(), Waiting: untouched + j.queue.live, Queued: j.queue.pushed,
	}
}

func (j *Job) lentCount() (n int) {
	for _, h := range j.held {
		n += int(h)
	}
	return n
}

// Mean is the mean time that a task takes, 0 before the first result.
func (j *Job) Mean() Time { return j.mean }

// Accepted says whether a task is done.
func (j *Job) Accepted(task uint32) bool { return j.states[task] == done }

// Over says whether the job has ended.
func (j *Job) Over() bool { return j.over }

// touch gives the open entry of a task, making one if it is fresh.
func (j *Job) touch(task uint32) *openTask {
	if j.states[task] == fresh {
		j.states[task] = open
		j.slots[task] = j.opens.take(openTask{task: task, first: none})
	}
	return j.opens.at(j.slots[task])
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

// tally counts the shares of an open task: copies out, the votes of the
// largest party, and all shares.
func (j *Job) tally(o *openTask) (out, agree, all int) {
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		all++
		switch s.state {
		case lent:
			out++
		case voted:
			agree = max(agree, j.party(o, voted, s.digest))
		}
	}
	return out, agree, all
}

// party counts the shares in a state with a digest.
func (j *Job) party(o *openTask, state uint8, d Digest) (n int) {
	for i := o.first; i != none; i = j.shares.at(i).next {
		if s := j.shares.at(i); s.state == state && s.digest == d {
			n++
		}
	}
	return n
}

// missing is how many more copies of a task should be lent.
func (j *Job) missing(o *openTask) int {
	out, agree, _ := j.tally(o)
	return max(0, j.config.Policy.Quorum-agree-out)
}

// requeue puts a task at the end of the queue if copies of it are missing.
func (j *Job) requeue(o *openTask) {
	if o.queued || j.missing(o) == 0 {
		return
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
	task := o.task
	j.opens.give(j.slots[task])
	j.states[task] = done
}

// restore takes a task as accepted that was so before.
func (j *Job) restore(task uint32) {
	if j.states[task] != fresh {
		return
	}
	j.states[task] = done
	j.count()
}

// count counts an accepted task, and ends the job with the last one.
func (j *Job) count() {
	if j.accepted++; j.accepted == j.config.Tasks {
		j.over = true
		j.emit(Effect{Kind: Finish})
	}
}

// end revokes whatever is lent and ends the job.
func (j *Job) end() {
	for j.oldest != none {
		s := j.shares.at(j.oldest)
		j.emit(Effect{Kind: Revoke, Task: s.task, Volunteer: s.volunteer, Worker: s.worker})
		s.state = lapsed
		j.unlend(j.oldest)
	}
	j.over = true
}
