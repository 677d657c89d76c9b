package schedule

// want lends up to N tasks: first those that have waited longest, then fresh
// ones, and when there is neither, copies of stragglers.
func (j *Job) want(e Event) {
	if j.paused || j.over {
		return
	}
	n := j.lendWaiting(e, e.N)
	n = j.lendFresh(e, n)
	if n == e.N { // nothing else to do
		j.lendStragglers(e, n)
	}
}

// lendWaiting lends tasks of the queue that the volunteer may have. His cursor
// remembers how far he has looked: what he passed over he may never have,
// unless the task comes into the queue again, at its end.
func (j *Job) lendWaiting(e Event, n int) int {
	c := j.cursor(e.Volunteer)
	at := j.queue.resume(*c)
	for looked := 0; n > 0 && looked < scanLimit; looked++ {
		task, ok := j.queue.peek(at)
		if !ok {
			break
		}
		if task != none && j.lendQueued(e, task) {
			n--
			looked = 0
		}
		at++
	}
	*c = j.queue.mark(at)
	return n
}

// lendQueued lends a task of the queue, if copies of it are missing and the
// volunteer may have it, and takes it off the queue when no more are missing.
func (j *Job) lendQueued(e Event, task uint32) bool {
	o := j.opens.at(j.slots[task])
	missing := j.missing(o)
	can := missing > 0 && j.may(o, e.Volunteer)
	if can {
		j.lend(o, e)
		missing--
	}
	if missing == 0 {
		j.unqueue(o)
	}
	return can
}

// may says whether a volunteer may be lent an open task: nobody votes twice.
func (j *Job) may(o *openTask, v Volunteer) bool {
	_, s := j.share(o, v)
	return s == nil || s.state == lapsed || s.state == failed && j.config.Policy.Trust == Trusted
}

func (j *Job) lendFresh(e Event, n int) int {
	for ; n > 0 && int(j.next) < j.config.Tasks; j.next++ {
		if j.states[j.next] != fresh {
			continue
		}
		o := j.touch(j.next)
		j.lend(o, e)
		j.requeue(o)
		n--
	}
	return n
}

// lendStragglers lends second copies of what has been out for long.
func (j *Job) lendStragglers(e Event, n int) {
	patience := max(stragglerTime, stragglerSlack*j.mean)
	i := j.oldest
	for looked := 0; n > 0 && i != none && looked < scanLimit; looked++ {
		s := j.shares.at(i)
		if j.now-s.lent < patience {
			return
		}
		o := j.opens.at(j.slots[s.task])
		i = s.newer
		if out, agree, _ := j.tally(o); out+agree <= j.config.Policy.Quorum && j.may(o, e.Volunteer) {
			j.lend(o, e)
			n--
		}
	}
}

// lend lends a task to a worker.
func (j *Job) lend(o *openTask, e Event) {
	i, s := j.share(o, e.Volunteer)
	if s == nil {
		i, s = j.addShare(o, e.Volunteer, e.Worker)
	}
	j.grow(e.Worker)
	j.held[e.Worker]++
	expected := j.mean
	if expected == 0 {
		expected = j.config.TimeLimit / slack
	}
	allowance := min(slack*expected, j.config.TimeLimit)*Time(j.held[e.Worker]) + graceTime
	s.state, s.worker, s.lent, s.span = lent, e.Worker, j.now, millis(allowance)
	s.older, s.newer = j.newest, none
	if j.newest != none {
		j.shares.at(j.newest).newer = i
	} else {
		j.oldest = i
	}
	j.newest = i
	j.emit(Effect{Kind: Lend, Task: o.task, Volunteer: e.Volunteer, Worker: e.Worker, Deadline: s.deadline()})
}

func (s *share) deadline() Time { return s.lent + Time(s.span)*1000 }

func millis(t Time) uint32 { return uint32(max(0, min(t/1000, 1<<32-1))) }

// unlend takes a share off the list of those that are lent.
func (j *Job) unlend(i uint32) {
	s := j.shares.at(i)
	j.held[s.worker]--
	if s.older != none {
		j.shares.at(s.older).newer = s.newer
	} else {
		j.oldest = s.newer
	}
	if s.newer != none {
		j.shares.at(s.newer).older = s.older
	} else {
		j.newest = s.older
	}
}

// lapse ends a lease without a result; its task waits again, at the end of the
// queue, where the cursor of the one who had it comes by once more.
func (j *Job) lapse(i uint32) {
	s := j.shares.at(i)
	j.unlend(i)
	s.state = lapsed
	o := j.opens.at(j.slots[s.task])
	j.unqueue(o)
	j.requeue(o)
}

// expire lapses leases whose time is over. The list is by age and deadlines
// nearly are: a lease may lapse a little late, never early.
func (j *Job) expire() {
	for j.oldest != none && j.shares.at(j.oldest).deadline() <= j.now {
		j.lapse(j.oldest)
	}
}

func (j *Job) giveBack(e Event) {
	if j.states[e.Task] != open {
		return
	}
	i, s := j.share(j.opens.at(j.slots[e.Task]), e.Volunteer)
	if s != nil && s.state == lent && s.worker == e.Worker {
		j.lapse(i)
	}
}

func (j *Job) gone(w Worker) {
	j.grow(w)
	for i := j.oldest; i != none && j.held[w] > 0; {
		following := j.shares.at(i).newer
		if j.shares.at(i).worker == w {
			j.lapse(i)
		}
		i = following
	}
}

func (j *Job) grow(w Worker) {
	for int(w) >= len(j.held) {
		j.held = append(j.held, 0)
	}
}

func (j *Job) cursor(v Volunteer) *cursor {
	for int(v) >= len(j.cursors) {
		j.cursors = append(j.cursors, cursor{})
	}
	return &j.cursors[v]
}
