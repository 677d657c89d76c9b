package schedule

const (
	// A lease is late when it is being computed for this long and for this many
	// times the mean. So are those behind it in a worker that has not answered
	// for as long.
	stragglerTime  = Second
	stragglerSlack = 3
	// takeBackTime is how long a lease must have to wait in its worker's queue
	// before it is taken back for one that has nothing to do.
	takeBackTime = Second / 10
	// ladenLimit bounds how many workers one event looks at for that, and
	// queueLimit how many leases of each.
	ladenLimit = 16
	queueLimit = 8
)

// straggling is how long a lease of a level may be computed before it is late.
func (j *Job) straggling(level int) Time {
	return max(stragglerTime, stragglerSlack*j.mean) << level
}

// stalled says whether a worker that has leases has said nothing for so long
// that they are late, and those that wait behind them.
func (j *Job) stalled(c *connection) bool {
	return c.held > 0 && j.now-c.progress >= j.straggling(0)
}

// findLate puts the tasks of late leases into the queue, once there is none left
// that nobody was lent: more replicas of them may be lent then.
func (j *Job) findLate() {
	if j.paused || j.over || j.untouched() > 0 {
		return
	}
	looked := 0
	for level := range j.ages {
		for a := &j.ages[level]; a.prompt != none && looked < scanLimit; looked++ {
			l := j.leases.at(a.prompt)
			if j.now-l.began < j.straggling(level) {
				break
			}
			a.prompt = l.newer
			j.late(l)
			if c := &j.workers[j.shares.at(l.share).worker]; j.stalled(c) {
				for i := c.next; i != none; i = j.leases.at(i).after {
					j.late(j.leases.at(i))
				}
			}
		}
	}
}

// late has the task of a lease wait for another replica.
func (j *Job) late(l *lease) {
	l.late = true
	o := j.opens.at(j.slots[j.shares.at(l.share).task])
	if o.accepted == none || o.audit {
		j.requeue(o)
	}
}

// level is how many leases of a task are late, as far as that matters.
func (j *Job) level(o *openTask) (n uint8) {
	for i := o.first; i != none && n < levels-1; i = j.shares.at(i).next {
		if s := j.shares.at(i); s.state == lent && j.leases.at(s.lease).late {
			n++
		}
	}
	return n
}

// takeBack lends a worker that has nothing to do what waits in the queues of
// others for longer than it is worth. That is no failure of theirs.
func (j *Job) takeBack(e *Event, n int) {
	c := j.connection(e.Worker)
	for n = min(n, int(c.slots-c.held)); n > 0; n-- {
		i := j.deepest(e)
		if i == none {
			return
		}
		s := j.shares.at(i)
		o := j.opens.at(j.slots[s.task])
		j.emit(Effect{Kind: Revoke, Task: s.task, Volunteer: s.volunteer, Worker: s.worker})
		j.lapse(i)
		j.lend(o, e)
		if j.missing(o) == 0 {
			j.unqueue(o)
		}
	}
}

// deepest finds the lease that has to wait longest, of those that the volunteer
// may have, among some of the workers that have such ones.
func (j *Job) deepest(e *Event) (found uint32) {
	found = none
	longest := takeBackTime
	for n := range min(ladenLimit, len(j.laden)) {
		at := (int(j.now/1000) + n) % len(j.laden)
		c := &j.workers[j.laden[at]]
		if wait := j.queueTime(c); wait >= longest && !j.stalled(c) {
			if i := j.lastOf(c, e); i != none {
				found, longest = i, wait
			}
		}
	}
	return found
}

// queueTime is how long the last lease of a worker has to wait.
func (j *Job) queueTime(c *connection) Time {
	waiting := Time(c.held - c.begun)
	if c.answers > 0 {
		return waiting * paceUnit * c.spent / c.answers
	}
	return waiting * j.mean / Time(c.slots)
}

// lastOf finds the last lease of a worker's queue that the volunteer may have.
// Spot checks stay where they are: nobody is to learn of them.
func (j *Job) lastOf(c *connection, e *Event) uint32 {
	i := c.last
	for range queueLimit {
		if i == none || j.leases.at(i).begun {
			break
		}
		share := j.leases.at(i).share
		s := j.shares.at(share)
		if o := j.opens.at(j.slots[s.task]); o.accepted == none && j.mayBeside(o, e.Volunteer, share) {
			return share
		}
		i = j.leases.at(i).before
	}
	return none
}

// takeable is how many leases wait in their workers' queues, if that is so long
// that one who has nothing to do may have some.
func (j *Job) takeable() int {
	if Time(j.waiting)*j.mean < takeBackTime {
		return 0
	}
	return j.waiting
}

// Next gives the next time at which a Tick can change something by itself.
func (j *Job) Next() (at Time, ok bool) {
	if j.over {
		return 0, false
	}
	at = 1<<63 - 1
	soonest := func(t Time) {
		if t > j.now {
			at = min(at, t)
		}
	}
	for level := range j.ages {
		a := j.ages[level]
		if a.oldest != none {
			soonest(j.leases.at(a.oldest).deadline)
		}
		if a.prompt != none && !j.paused && j.untouched() == 0 {
			soonest(max(j.now+1, j.leases.at(a.prompt).began+j.straggling(level)))
		}
	}
	if j.queue.live > 0 && !j.paused {
		soonest(j.served + j.straggling(0)) // for those that have not answered, see Room
		soonest(j.served + j.lonely())      // for the referee
	}
	for _, q := range j.questions {
		soonest(q.until)
	}
	return at, at < 1<<63-1
}
