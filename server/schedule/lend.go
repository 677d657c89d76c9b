package schedule

const (
	// Under Adaptive tasks are lent in an order within blocks of this size that
	// volunteers cannot guess: else they could tell a task that others have had
	// from a fresh one, on which nobody checks them.
	blockSize = 1024
	// One in so many leases is a task that is accepted already.
	quizEvery = 128
	quizTries = 16
	// newcomerBacklog is how many tasks newcomers may have open on a grid where
	// nobody is about who could confirm their answers but the referee.
	newcomerBacklog = 16
	// attendance is how long an established volunteer who asked is taken for
	// being about.
	attendance = 120 * Second
)

// want lends up to N tasks, as many as the volunteer may have.
func (j *Job) want(e Event) {
	if j.paused || j.over {
		return
	}
	p := j.person(e.Volunteer)
	if j.weighs() && !p.trusted {
		if most, _ := p.Limit(j.now); most >= 0 {
			e.N = min(e.N, most-int(p.held))
		}
	}
	from := len(j.out)
	switch {
	case e.N <= 0:
	case !j.weighs():
		j.lendAny(e)
	case p.trusted:
		j.met = j.now
		e.N = j.lendDisputed(e)
		j.lendAny(e)
	case j.counts(e.Volunteer):
		if p.Standing == Established {
			j.met = j.now
		}
		e.N = j.lendQuizzes(e)
		j.lendAny(e)
	default:
		j.lendNewcomer(e)
	}
	if j.config.Policy.Trust == Adaptive { // their order must not tell what is what, either
		lends := j.out[from:]
		j.rand.Shuffle(len(lends), func(a, b int) { lends[a], lends[b] = lends[b], lends[a] })
	}
}

// lendAny lends first what has waited longest, then fresh tasks, and when there
// is neither, copies of stragglers.
func (j *Job) lendAny(e Event) {
	n := j.lendWaiting(e, e.N)
	n = j.lendFresh(e, n)
	if n == e.N { // nothing else to do
		j.lendStragglers(e, n)
	}
}

// lendDisputed lends a trusted runner what waits for the referee.
func (j *Job) lendDisputed(e Event) (left int) {
	for left = e.N; left > 0; left-- {
		o := j.disputed(func(o *openTask) bool { return j.may(o, e.Volunteer) && !j.refereed(o) })
		if o == nil {
			break
		}
		j.lend(o, e)
	}
	return left
}

// lendQuizzes puts a volunteer to the test now and then, among fresh tasks.
func (j *Job) lendQuizzes(e Event) (left int) {
	left = e.N
	for range min(e.N, j.config.Tasks-j.next) {
		if j.rand.IntN(quizEvery) == 0 && j.lendQuiz(e) {
			left--
		}
	}
	return left
}

// lendQuiz lends a task that is accepted, one of those that were lent lately.
func (j *Job) lendQuiz(e Event) bool {
	to := min((j.next+blockSize-1)/blockSize*blockSize, j.config.Tasks)
	from := max(0, to-2*blockSize)
	for range quizTries {
		if to == 0 {
			break
		}
		task := uint32(from + j.rand.IntN(to-from))
		if i := j.kept(task); i == none || j.stoodBy(i, e.Volunteer) {
			continue
		}
		if o := j.touch(task); o.referee == unasked && j.may(o, e.Volunteer) {
			j.lend(o, e)
			return true
		}
	}
	return false
}

// lendNewcomer tries a newcomer with tasks that an established volunteer has
// done. Where there is none about, he gets tasks of his own for the referee to
// confirm.
func (j *Job) lendNewcomer(e Event) {
	if j.accepted == j.config.Tasks {
		return
	}
	n := e.N
	for ; n > 0 && float64(j.tried) < Probation+j.doubt.welcome()*float64(j.accepted) && j.lendQuiz(e); n-- {
		j.tried++
	}
	if n == e.N && !j.attended() {
		n = j.lendWaiting(e, n)
		fresh := max(0, min(n, newcomerBacklog-j.opens.used))
		n += j.lendFresh(e, fresh) - fresh
	}
	if n == e.N {
		j.turnedAway = j.now
	}
}

// lendWaiting lends tasks of the queue that the volunteer may have. His cursor
// remembers how far he has looked: what he passed over he may never have,
// unless the task comes into the queue again, at its end.
func (j *Job) lendWaiting(e Event, n int) int {
	c := &j.person(e.Volunteer).cursor
	at := j.queue.resume(*c)
	for looked := 0; n > 0 && looked < scanLimit; looked++ {
		task, ok := j.queue.peek(at)
		if !ok {
			break
		}
		if task != none && j.lendQueued(e, task) {
			j.served = j.now
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
	can := missing > 0 && j.may(o, e.Volunteer) && (j.counts(e.Volunteer) || j.stage(o) == lapsed)
	if can {
		j.lend(o, e)
		missing = j.missing(o)
	}
	if missing == 0 {
		j.unqueue(o)
		if o.accepted != none {
			j.rest(o)
		}
	}
	return can
}

// may says whether a volunteer may be lent an open task: nobody votes twice, nor
// do two of one network.
func (j *Job) may(o *openTask, v Volunteer) bool {
	if o.accepted != none && j.stoodBy(o.accepted, v) {
		return false
	}
	network := j.person(v).network
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		switch {
		case s.volunteer == v && s.state != lapsed && (s.state != failed || j.weighs()):
			return false
		case s.volunteer != v && s.state != lapsed && network != 0 && j.person(s.volunteer).network == network:
			return false
		}
	}
	return true
}

func (j *Job) lendFresh(e Event, n int) int {
	for ; n > 0; n-- {
		task, ok := j.nextFresh()
		if !ok {
			break
		}
		o := j.touch(task)
		j.lend(o, e)
		j.requeue(o)
	}
	return n
}

// nextFresh gives a task that nobody was lent, and goes on behind it.
func (j *Job) nextFresh() (task uint32, ok bool) {
	for j.next < j.config.Tasks {
		if j.next%blockSize == 0 {
			j.shuffle()
		}
		task = j.order[j.next%blockSize]
		if j.next++; j.states[task] == fresh {
			return task, true
		}
	}
	return 0, false
}

// shuffle makes the order of the block that comes next.
func (j *Job) shuffle() {
	j.order = j.order[:0]
	for task := j.next; task < min(j.next+blockSize, j.config.Tasks); task++ {
		j.order = append(j.order, uint32(task))
	}
	if j.config.Policy.Trust == Adaptive {
		j.rand.Shuffle(len(j.order), func(a, b int) { j.order[a], j.order[b] = j.order[b], j.order[a] })
	}
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
		if out, agree, _ := j.tally(o); out > 0 && out+agree <= int(o.quorum) && j.may(o, e.Volunteer) {
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
	j.setQuorum(o, e.Volunteer)
	j.grow(e.Worker)
	j.held[e.Worker]++
	j.person(e.Volunteer).held++
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

// setQuorum decides how many must agree on a task, when the first volunteer has
// to do with it.
func (j *Job) setQuorum(o *openTask, v Volunteer) {
	if o.quorum > 0 {
		return
	}
	o.quorum = uint8(j.config.Policy.Quorum)
	if j.config.Policy.Trust != Adaptive {
		return
	}
	switch p := j.person(v); {
	case p.trusted:
	case p.Standing == Newcomer && j.founding():
		o.quorum = 2
	case p.Standing == Established && j.rand.Float64() < j.doubt.copyChance(max(p.Checked, p.drawn)):
		p.drawn++
		o.quorum = 2
	}
}

func (s *share) deadline() Time { return s.lent + Time(s.span)*1000 }

func millis(t Time) uint32 { return uint32(max(0, min(t/1000, 1<<32-1))) }

// unlend takes a share off the list of those that are lent.
func (j *Job) unlend(i uint32) {
	s := j.shares.at(i)
	j.held[s.worker]--
	j.person(s.volunteer).held--
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
	if o.accepted != none {
		j.dropShare(o, i)
		j.rest(o)
		return
	}
	j.unqueue(o)
	j.requeue(o)
}

// expire lapses leases whose time is over. The list is by age and deadlines
// nearly are: a lease may lapse a little late, never early.
func (j *Job) expire() {
	for j.oldest != none && j.shares.at(j.oldest).deadline() <= j.now {
		v := j.shares.at(j.oldest).volunteer
		j.lapse(j.oldest)
		j.did(v, Did{Failures: 1})
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
