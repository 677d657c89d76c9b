package schedule

const (
	// prefetch is how much work a slot may have in its worker's queue.
	prefetch = 2 * Second
	// paceTime is over how much time a worker's pace is measured.
	paceTime = 4 * Second
	// paceUnit counts answers finely enough to be halved.
	paceUnit = 1024
)

// A lease is a share while it is lent. Workers compute their leases in the order
// in which they get them, as many at a time as they have slots: a lease is
// begun when fewer than that are before it, and waits until then.
type lease struct {
	share         uint32
	before, after uint32 // in the list of its worker, in the order in which they were lent
	older, newer  uint32 // in the list of its level, once it is begun
	level         uint8  // how many of the task's other leases were late when it was lent
	begun         bool
	late          bool // takes too long: it does not keep its task from being lent to others
	began         Time
	deadline      Time
}

// levels is how many levels of leases there are: each waits twice as long as the
// one before until it is late, so that a task that is long by nature is not
// lent to everybody.
const levels = 4

// ages is the list of the begun leases of a level, in the order in which they
// began. Those that are late are the first ones.
type ages struct {
	oldest, newest uint32
	prompt         uint32 // the oldest one that is not late
}

// A connection is what the job knows of a worker.
type connection struct {
	volunteer   Volunteer
	here        bool   // it has asked and is not gone
	first, last uint32 // lease
	next        uint32 // the first lease that waits
	held, begun int32  // leases
	slots       int32  // how many it computes at a time
	most        int32  // how many it may hold
	place       int32  // in Job.laden, -1 if it is not there
	progress    Time   // when it answered last, or got work while it had none
	answers     int64  // answers, in units of 1/paceUnit,
	spent       Time   // and in how much time with work; the older ones are forgotten
	cursor      cursor // in the queue
}

// unknown is a connection of which nothing is known.
var unknown = connection{first: none, last: none, next: none, slots: 1, most: 1, place: -1}

// connection gives what is known of a worker.
func (j *Job) connection(w Worker) *connection {
	for int(w) >= len(j.workers) {
		j.workers = append(j.workers, unknown)
	}
	return &j.workers[w]
}

// resize notes how many tasks a worker computes at a time.
func (j *Job) resize(c *connection, slots int) {
	if slots > 0 {
		c.slots = int32(slots)
		c.most = max(c.most, c.slots)
		j.begin(c)
	}
}

// Room is how many more leases a worker may have: a task for each slot to begin
// with, and one more with each answer, until they are about two seconds of work
// for each slot in advance. One that says nothing while others are about gets
// no more.
func (j *Job) Room(w Worker) int {
	c := j.connection(w)
	if j.untouched() == 0 && j.stalled(c) && j.now-j.served < j.straggling(0) {
		return 0
	}
	return max(0, int(c.most-c.held))
}

// answered ends the lease of a share that its worker has answered. A worker that
// takes its leases in another order has begun more of them than it was told.
func (j *Job) answered(i uint32, s *share, e *Event) {
	c := &j.workers[s.worker]
	waited := !j.leases.at(s.lease).begun
	j.progressed(c, e)
	j.unlend(i)
	if waited && c.next != none {
		j.beginNext(c)
		j.begin(c)
	}
}

// progressed measures how fast a worker answers, and how many leases it may hold.
func (j *Job) progressed(c *connection, e *Event) {
	c.spent += j.now - c.progress
	c.answers += paceUnit
	c.progress = j.now
	for c.spent > 2*paceTime && c.answers > 2*paceUnit*int64(c.slots) {
		c.spent, c.answers = c.spent/2, c.answers/2
	}
	if e.Kind != Result { // who fails fast must not get more for it
		c.most = c.slots
		return
	}
	if more := Time(c.most + 1 - c.slots); more*paceUnit*c.spent <= prefetch*c.answers {
		c.most++
	} else { // at least one answer, and in some time
		c.most = c.slots + int32(prefetch*c.answers/(paceUnit*c.spent))
	}
}

// hold gives a lease to a worker.
func (j *Job) hold(w Worker, l lease) uint32 {
	c := j.connection(w)
	l.before, l.after = c.last, none
	i := j.leases.take(l)
	if c.held == 0 {
		c.progress = j.now
		c.first = i
	} else {
		j.leases.at(c.last).after = i
	}
	c.last = i
	c.held++
	j.waiting++
	if c.next == none {
		c.next = i
	}
	j.begin(c)
	return i
}

// begin has a worker begin leases that wait, as far as it has slots.
func (j *Job) begin(c *connection) {
	for c.next != none && c.begun < c.slots {
		j.beginNext(c)
	}
	switch laden := c.next != none; {
	case laden && c.place < 0:
		w := j.shares.at(j.leases.at(c.next).share).worker
		c.place = int32(len(j.laden))
		j.laden = append(j.laden, w)
	case !laden && c.place >= 0:
		end := len(j.laden) - 1
		moved := j.laden[end]
		j.laden[c.place] = moved
		j.workers[moved].place = c.place
		j.laden = j.laden[:end]
		c.place = -1
	}
}

// beginNext has a worker begin the first lease that waits.
func (j *Job) beginNext(c *connection) {
	i := c.next
	l := j.leases.at(i)
	c.next = l.after
	c.begun++
	j.waiting--
	l.begun, l.late, l.began = true, false, j.now
	l.deadline = j.now + j.allowance()
	a := &j.ages[l.level]
	l.older, l.newer = a.newest, none
	if a.newest != none {
		j.leases.at(a.newest).newer = i
	} else {
		a.oldest = i
	}
	a.newest = i
	if a.prompt == none {
		a.prompt = i
	}
}

// allowance is how long a begun lease may take.
func (j *Job) allowance() Time {
	if j.mean == 0 {
		return j.config.TimeLimit + graceTime
	}
	return min(slack*j.mean, j.config.TimeLimit) + graceTime
}

// unlend ends the lease of a share.
func (j *Job) unlend(i uint32) {
	s := j.shares.at(i)
	c := &j.workers[s.worker]
	l := *j.leases.at(s.lease)
	if l.before != none {
		j.leases.at(l.before).after = l.after
	} else {
		c.first = l.after
	}
	if l.after != none {
		j.leases.at(l.after).before = l.before
	} else {
		c.last = l.before
	}
	c.held--
	if l.begun {
		c.begun--
		j.unage(s.lease, l)
	} else {
		j.waiting--
		if c.next == s.lease {
			c.next = l.after
		}
	}
	j.leases.give(s.lease)
	s.state = lapsed
	j.person(s.volunteer).held--
	j.begin(c)
}

// unage takes a lease off the list of its level.
func (j *Job) unage(i uint32, l lease) {
	a := &j.ages[l.level]
	if a.prompt == i {
		a.prompt = l.newer
	}
	if l.older != none {
		j.leases.at(l.older).newer = l.newer
	} else {
		a.oldest = l.newer
	}
	if l.newer != none {
		j.leases.at(l.newer).older = l.older
	} else {
		a.newest = l.older
	}
}

// takeAll lapses all leases of a worker, after each was looked at.
func (j *Job) takeAll(w Worker, look func(*share)) {
	for c := j.connection(w); c.first != none; {
		i := j.leases.at(c.first).share
		look(j.shares.at(i))
		j.lapse(i)
	}
}

// lapse ends a lease without a result; its task waits again, at the end of the
// queue, where the cursor of the worker that had it comes by once more.
func (j *Job) lapse(i uint32) {
	j.unlend(i)
	s := j.shares.at(i)
	o := j.opens.at(j.slots[s.task])
	if o.accepted != none {
		j.dropShare(o, i)
		j.rest(o)
		return
	}
	j.unqueue(o)
	j.requeue(o)
}

// expire lapses leases whose time is over, and with the lease of a worker that
// has said nothing since it began all others that this worker has. The lists
// are by age and deadlines nearly are: a lease may lapse a little late, never early.
func (j *Job) expire() {
	for level := range j.ages {
		for a := &j.ages[level]; a.oldest != none && j.leases.at(a.oldest).deadline <= j.now; {
			l := j.leases.at(a.oldest)
			s := j.shares.at(l.share)
			v := s.volunteer
			if c := &j.workers[s.worker]; c.progress <= l.began {
				j.takeAll(s.worker, func(*share) {})
				c.most = c.slots
			} else {
				j.lapse(l.share)
			}
			j.did(v, Did{Failures: 1})
		}
	}
}

func (j *Job) giveBack(e *Event) {
	if j.states[e.Task] != open {
		return
	}
	i, s := j.share(j.opens.at(j.slots[e.Task]), e.Volunteer)
	if s != nil && s.state == lent && s.worker == e.Worker {
		s.returned = true // before others are asked
		j.lapse(i)
	}
}

// arrive notes that a worker is here.
func (j *Job) arrive(c *connection, v Volunteer) {
	if c.here {
		return
	}
	c.here, c.volunteer = true, v
	p := j.person(v)
	if p.here++; p.here == 1 {
		j.present++
	}
}

// gone ends what a worker had. If its volunteer has no other one here, nobody
// waits for them any more.
func (j *Job) gone(w Worker) {
	j.takeAll(w, func(*share) {})
	c := j.connection(w)
	here, v := c.here, c.volunteer
	if *c = unknown; !here {
		return
	}
	p := j.person(v)
	if p.here--; p.here == 0 {
		j.present--
		j.lookAgain()
	}
}

// lookAgain has those who passed something over for others look at it again.
func (j *Job) lookAgain() {
	if j.avoided {
		j.avoided = false
		j.queue.round++
	}
}

// relax lets those have what they failed at or gave back who were to leave it to
// others, when nobody has taken anything from the queue for long.
func (j *Job) relax() {
	if j.queue.live > 0 && !j.relaxed && j.now-j.served >= j.lonely() {
		j.relaxed = true
		j.lookAgain()
	}
}

// skip moves all that has to do with when leases were heard of by a span of time
// in which nobody could be heard.
func (j *Job) skip(span Time) {
	for w := range j.workers {
		c := &j.workers[w]
		c.progress += span
		for i := c.first; i != none; i = j.leases.at(i).after {
			l := j.leases.at(i)
			l.began += span
			l.deadline += span
		}
	}
	j.served += span
	j.met += span
	j.turnedAway += span
}
