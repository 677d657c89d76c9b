package schedule

import "math"

const (
	// Under Adaptive tasks are lent in an order within blocks of this size that
	// volunteers cannot guess: else they could tell a task that others have had
	// from a fresh one, on which nobody checks them.
	blockSize = 1024
	// One in so many leases is a task that is accepted already.
	quizEvery = 128
	quizTries = 16
	// firstTried is how many newcomers are tried besides, for each job.
	firstTried = 10
	// newcomerBacklog is how many tasks newcomers may have open on a grid where
	// nobody is about who could confirm their answers but the referee.
	newcomerBacklog = 16
	// turnTime is how long a network that had fewer tasks than others is waited for.
	turnTime = 5 * Second
	// attendance is how long an established volunteer who asked is taken for
	// being about.
	attendance = 120 * Second
)

// want lends up to N tasks, as many as the volunteer may have.
func (j *Job) want(e *Event) {
	c := j.connection(e.Worker)
	j.arrive(c, e.Volunteer)
	j.resize(c, e.Slots)
	if j.paused || j.over {
		return
	}
	j.findLate()
	e.N = min(e.N, j.Room(e.Worker))
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
		if len(j.questions) > 0 {
			e.N = j.lendWitness(e)
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
// is neither, what waits in the queues of others.
func (j *Job) lendAny(e *Event) {
	n := j.lendWaiting(e, e.N)
	n = j.lendFresh(e, n)
	if n == e.N && j.waiting > 0 {
		j.takeBack(e, n)
	}
}

// lendDisputed lends a trusted runner what waits for the referee.
func (j *Job) lendDisputed(e *Event) (left int) {
	for left = e.N; left > 0; left-- {
		o := j.disputed(func(o *openTask) bool { return j.may(o, e) && !j.refereed(o) })
		if o == nil {
			break
		}
		j.lend(o, e)
	}
	return left
}

// lendQuizzes puts a volunteer to the test now and then, among fresh tasks.
func (j *Job) lendQuizzes(e *Event) (left int) {
	left = e.N
	for range min(e.N, j.config.Tasks-j.next) {
		if j.rand.IntN(quizEvery) == 0 && j.lendQuiz(e) {
			left--
		}
	}
	return left
}

// lendQuiz lends a task that is accepted, one of those that were lent lately.
func (j *Job) lendQuiz(e *Event) bool {
	to := min((j.next+blockSize-1)/blockSize*blockSize, j.config.Tasks)
	from := max(0, to-2*blockSize)
	for range quizTries {
		if to == 0 {
			break
		}
		task := uint32(from + j.rand.IntN(to-from))
		if i := j.kept(task); i == none || j.stoodBy(i, e.Volunteer) || !j.counts(e.Volunteer) && !j.known(i) {
			continue
		}
		if o := j.touch(task); o.referee == unasked && j.may(o, e) {
			j.lend(o, e)
			return true
		}
	}
	return false
}

// lendNewcomer tries a newcomer with tasks whose answers are known. Where the
// grid is young, or nobody is about whose word counts, they get tasks of their own
// for the referee to confirm.
func (j *Job) lendNewcomer(e *Event) {
	if j.accepted == j.config.Tasks {
		return
	}
	network := j.person(e.Volunteer).network
	if !j.turns.next(network, j.now) {
		j.turnedAway = j.now
		return
	}
	n := e.N
	for ; n > 0 && j.spotChecks() > 0 && j.lendQuiz(e); n-- {
		j.tried++
	}
	if n == e.N && j.untaught(e.Volunteer) {
		n = j.lendWaiting(e, n)
		fresh := max(0, min(n, newcomerBacklog-j.opens.used))
		n += j.lendFresh(e, fresh) - fresh
	}
	if n == e.N {
		j.turnedAway = j.now
	}
	j.turns.took(network, e.N-n, j.now)
}

// turns are whose turn it is among the networks that newcomers come from: a crowd
// from some does not keep the others out. Network 0 is always next.
type turns struct {
	had    map[uint32]int // tasks that newcomers of a network were lent
	fewest int            // tasks that a network had whose newcomers got nothing
	asked  Time           // when they asked last
}

// next says whether it is the turn of a network.
func (t *turns) next(network uint32, now Time) bool {
	return network == 0 || t.had[network] <= t.fewest || now-t.asked > turnTime
}

// took notes what newcomers of a network got.
func (t *turns) took(network uint32, n int, now Time) {
	if network == 0 {
		return
	}
	had := t.had[network]
	waits := now-t.asked <= turnTime
	switch {
	case n > 0:
		t.had[network] = had + n
		if had <= t.fewest { // the others ask again
			t.asked = math.MinInt64 / 2
		}
	case !waits || had <= t.fewest:
		t.fewest, t.asked = had, now
	}
}

// untaught says whether a volunteer is a newcomer whose answers only the referee
// can confirm.
func (j *Job) untaught(v Volunteer) bool { return !j.counts(v) && (j.young() || !j.attended()) }

// spotChecks is how many newcomers can be tried with a task now.
func (j *Job) spotChecks() int {
	if !j.weighs() || j.accepted == 0 || j.accepted == j.config.Tasks {
		return 0
	}
	return max(0, int(math.Ceil(firstTried+j.doubt.welcome()*float64(j.accepted)-float64(j.tried))))
}

// lendWaiting lends tasks of the queue that the volunteer may have. The worker's
// cursor remembers how far it has looked: what it passed over it may never have,
// unless the task comes into the queue again, at its end.
func (j *Job) lendWaiting(e *Event, n int) int {
	turn := j.person(e.Volunteer).turn
	at := j.queue.resume(j.workers[e.Worker].cursor, turn)
	for looked := 0; n > 0 && looked < scanLimit; looked++ {
		task, ok := j.queue.peek(at)
		if !ok {
			break
		}
		if task != none && j.lendQueued(e, task) {
			j.served, j.relaxed = j.now, false
			n--
			looked = 0
		}
		at++
	}
	j.workers[e.Worker].cursor = j.queue.mark(at, turn)
	return n
}

// lendQueued lends a task of the queue, if copies of it are missing and the
// volunteer may have it, and takes it off the queue when no more are missing.
func (j *Job) lendQueued(e *Event, task uint32) bool {
	o := j.opens.at(j.slots[task])
	missing := j.missing(o)
	can := missing > 0 && j.may(o, e) && (j.counts(e.Volunteer) || o.referee != inVain && j.progress(o) == lapsed)
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

// may says whether a worker may be lent an open task. What another worker of the
// same volunteer has had for too long it may have.
func (j *Job) may(o *openTask, e *Event) bool {
	i, s := j.share(o, e.Volunteer)
	if s == nil || s.state != lent || s.worker == e.Worker || !j.leases.at(s.lease).late {
		i = none
	}
	return j.mayBeside(o, e.Volunteer, i)
}

// mayBeside says whether a volunteer may be lent an open task in place of one of
// its shares: nobody votes twice, nor do two of one network.
func (j *Job) mayBeside(o *openTask, v Volunteer, instead uint32) bool {
	if o.accepted != none && j.stoodBy(o.accepted, v) {
		return false
	}
	network := j.voter(v)
	tried := 0 // volunteers who have it, or have done what they could
	var own *share
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		if s.state != lapsed || s.returned {
			tried++
		}
		switch {
		case i == instead:
		case s.volunteer == v:
			own = s
		case s.state != lapsed && network != 0 && j.voter(s.volunteer) == network:
			j.turnedAway = j.now
			return false
		}
	}
	return own == nil || j.mayAgain(own, tried)
}

// voter is the network that a volunteer votes for, 0 if that is nobody else's.
func (j *Job) voter(v Volunteer) uint32 {
	if n := j.person(v).network; n != 0 && j.counts(v) {
		return n
	}
	return 0
}

// mayAgain says whether a volunteer who has a share in a task may be lent it once
// more. What they failed at or gave back is first for others who are here.
func (j *Job) mayAgain(s *share, tried int) bool {
	switch {
	case s.state == lent || s.state == voted || s.state == failed && j.weighs():
		return false
	case s.state == failed && s.failures == 0 && j.config.Referees > 0:
		return false // if nobody else is here, the referee finds out whose fault it was
	case (s.state == failed || s.returned) && tried < j.present && !j.relaxed:
		j.avoided = true
		return false
	}
	return true
}

func (j *Job) lendFresh(e *Event, n int) int {
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

// lend lends a task to a worker.
func (j *Job) lend(o *openTask, e *Event) {
	level := j.level(o)
	i, s := j.share(o, e.Volunteer)
	switch {
	case s == nil:
		i, s = j.addShare(o, e.Volunteer, e.Worker)
	case s.state == lent:
		j.unlend(i)
	}
	j.setQuorum(o, e.Volunteer)
	s.state, s.returned, s.worker, s.lent = lent, false, e.Worker, j.now
	s.lease = j.hold(e.Worker, lease{share: i, level: level})
	j.person(e.Volunteer).held++
	j.emit(Effect{Kind: Lend, Task: o.task, Volunteer: e.Volunteer, Worker: e.Worker, Deadline: j.leases.at(s.lease).deadline})
}

// setQuorum decides how many must agree on a task, when the first volunteer has
// to do with it, and whether the referee must on a grid that is young.
func (j *Job) setQuorum(o *openTask, v Volunteer) {
	if o.quorum > 0 {
		return
	}
	o.quorum = uint8(j.config.Policy.Quorum)
	if !j.weighs() {
		return
	}
	p := j.person(v)
	if p.trusted || p.Standing != Established {
		return
	}
	switch young := j.young(); {
	case !young && j.config.Policy.Trust != Adaptive, young && len(j.disputes) >= refereeBacklog:
	case j.rand.Float64() >= j.doubt.copyChance(max(p.Checked, p.drawn)):
	case young:
		p.drawn++
		o.confirm = true
	default:
		p.drawn++
		o.quorum = 2
	}
}

func millis(t Time) uint32 { return uint32(max(0, min(t/1000, 1<<32-1))) }
