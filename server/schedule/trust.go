package schedule

const (
	// founders is how many senior volunteers a grid must have until it is not young
	// any more.
	founders = 10
	// refereeBacklog is how many tasks may wait for the referee before answers are
	// not chosen for them any more.
	refereeBacklog = 64
)

// counts says whether a volunteer's word counts towards a quorum.
func (j *Job) counts(v Volunteer) bool {
	switch p := j.person(v); {
	case !j.weighs():
		return true
	case p.Standing == Quarantined:
		return false
	default:
		return p.trusted || p.Standing == Established
	}
}

// young says whether a grid has too few senior volunteers to find out by
// comparison who lies: those who have just been established may be all of one
// crowd, and confirm one another. The referee makes the comparisons instead.
func (j *Job) young() bool { return j.seniors < founders }

// proves says whether an answer is known to be right because a volunteer gave it.
func (j *Job) proves(v Volunteer) bool {
	return j.counts(v) && (!j.young() || j.person(v).Senior() || j.person(v).trusted)
}

// attended says whether anybody is about whose word counts.
func (j *Job) attended() bool { return j.now-j.met <= attendance }

// Reputation gives what the job knows of a volunteer by now.
func (j *Job) Reputation(v Volunteer) Reputation { return j.person(v).Reputation }

// know takes in what the grid knows of a volunteer.
func (j *Job) know(e *Event) {
	p := j.person(e.Volunteer)
	caught := p.Standing != Quarantined && e.Reputation.Standing == Quarantined
	p.Reputation, p.trusted = e.Reputation, e.Trusted
	if j.weighs() {
		p.network = e.Network
	}
	if e.Machine != 0 {
		p.kind = e.Machine
	}
	p.turn++
	if caught && j.weighs() && !j.over { // what has ended stays as it is
		j.shun(e.Volunteer)
	}
}

// did notes what a volunteer did. Where everybody is believed, nobody can make
// themselves a name.
func (j *Job) did(v Volunteer, d Did) {
	p := j.person(v)
	if !j.weighs() || p.trusted {
		return
	}
	d.At = j.now
	was, senior := p.Standing, p.Senior()
	if was == Established && (d.Lied || d.Right > 0) && j.rounds == 0 { // audits look for liars where they are likely
		j.doubt.saw(d.Lied)
	}
	p.Reputation = p.After(d)
	if d.Right > 0 {
		j.confirmed(p)
	}
	if p.Standing != was {
		j.doubt.met(d.Lied)
		p.turn++ // they may have what they had to pass over
	}
	switch {
	case p.Senior() && !senior:
		j.seniors++
	case senior && !p.Senior():
		j.seniors--
	}
	j.emit(Effect{Kind: Conduct, Volunteer: v, Did: d})
}

// caught puts liars in quarantine.
func (j *Job) caught(liars []Volunteer) {
	for _, v := range liars {
		if p := j.person(v); !p.trusted && p.Standing != Quarantined {
			p.expelled = true
			j.did(v, Did{Lied: true})
			j.shun(v)
		}
	}
}

// shun takes from a volunteer what they were lent, and takes back what rests on
// their word alone. Their answers to open tasks are not heard any more, see counts.
func (j *Job) shun(v Volunteer) {
	for w := range j.workers {
		if j.workers[w].volunteer != v {
			continue
		}
		j.takeAll(Worker(w), func(s *share) {
			j.emit(Effect{Kind: Revoke, Task: s.task, Volunteer: v, Worker: s.worker})
		})
	}
	p := j.person(v)
	for i := p.first; i != none; {
		w := *j.vouches.at(i)
		j.unvouch(w.task, i)
		j.vouches.give(i)
		i = w.older
	}
	p.first = none
}

// callFor has the referee decide on an open task.
func (j *Job) callFor(o *openTask) {
	if o.referee == wanted || o.referee == asked {
		return
	}
	if j.config.Referees == 0 {
		j.decide(o)
		return
	}
	o.referee = wanted
	if o.accepted != none && !o.audit {
		o.audit = true
		j.audits++
	}
	j.unqueue(o)
	j.disputes = append(j.disputes, o.task)
	j.call()
}

// call gives the referee what waits for it, and what nobody else can do.
func (j *Job) call() {
	for j.judging < j.config.Referees && !j.over && !j.paused {
		o := j.disputed(func(o *openTask) bool { return !j.refereed(o) })
		if o == nil {
			o = j.stuck()
		}
		if o == nil {
			return
		}
		o.referee = asked
		j.judging++
		j.emit(Effect{Kind: Judge, Task: o.task})
	}
}

// disputed finds the task that has waited longest for the referee, of those
// that fit.
func (j *Job) disputed(fits func(*openTask) bool) *openTask {
	j.dropSettled()
	for _, task := range j.disputes[:min(len(j.disputes), scanLimit)] {
		if j.wanted(task) {
			if o := j.opens.at(j.slots[task]); fits(o) {
				return o
			}
		}
	}
	return nil
}

// dropSettled takes from the tasks that wait for the referee the first ones that
// do not any more.
func (j *Job) dropSettled() {
	for len(j.disputes) > 0 && !j.wanted(j.disputes[0]) {
		j.disputes = j.disputes[1:]
	}
}

func (j *Job) wanted(task uint32) bool {
	return j.states[task] == open && j.opens.at(j.slots[task]).referee == wanted
}

// refereed says whether a trusted runner computes a task, and is not late.
func (j *Job) refereed(o *openTask) bool {
	for i := o.first; i != none; i = j.shares.at(i).next {
		if s := j.shares.at(i); s.state == lent && !j.leases.at(s.lease).late && j.person(s.volunteer).trusted {
			return true
		}
	}
	return false
}

// patience is how long, beyond two tasks, the queue may have nothing for anybody
// who comes before the referee takes what is in it.
const patience = 5 * Second

// lonely is how long the queue must have had nothing for anybody who came until
// they are taken for being alone.
func (j *Job) lonely() Time {
	if j.accepted == j.config.Tasks { // all wait for what is in it
		return j.mean
	}
	return patience + 2*j.mean
}

// stuck finds a task of the queue that has an answer or failed, and waits for
// somebody else's who does not come. Under Strict that is waited for, unless there are
// none but newcomers who could give it.
func (j *Job) stuck() *openTask {
	if j.queue.live == 0 || j.now-j.served < j.lonely() {
		return nil
	}
	at := j.queue.base
	for range scanLimit {
		task, ok := j.queue.peek(at)
		if !ok {
			break
		}
		at++
		if task == none {
			continue
		}
		o := j.opens.at(j.slots[task])
		if j.needsReferee(o) {
			j.unqueue(o)
			return o
		}
	}
	return nil
}

// needsReferee says whether the referee may help with a task that nobody takes.
func (j *Job) needsReferee(o *openTask) bool {
	if o.referee != unasked {
		return false
	}
	_, agree, _ := j.tally(o)
	switch progress := j.progress(o); {
	case o.accepted != none:
		return true
	case progress == lent || progress == lapsed && o.failures == 0:
		return false
	}
	return agree == 0 || j.config.Policy.Trust != Strict || j.now-j.turnedAway <= attendance
}

// progress is like stage, but does not wait for what is late.
func (j *Job) progress(o *openTask) uint8 {
	stage := lapsed
	for i := o.first; i != none; i = j.shares.at(i).next {
		switch s := j.shares.at(i); {
		case s.state == lent && !j.leases.at(s.lease).late:
			return lent
		case s.state == voted:
			stage = voted
		}
	}
	return stage
}

// verdict takes the referee's answer.
func (j *Job) verdict(e *Event) {
	j.judging--
	if o := j.underReferee(e.Task); o != nil {
		e.Sure = true
		j.judge(o, e)
	}
	j.call()
}

// decide lets volunteers decide on a task without the referee: more of them than
// agree now must.
func (j *Job) decide(o *openTask) {
	o.referee = inVain
	if o.accepted != none {
		j.contest(o)
	}
	_, agree, _ := j.tally(o)
	o.quorum = uint8(min(max(agree+1, int(o.quorum)), MaxQuorum))
	if !j.fail(o, "their answers disagree") {
		j.requeue(o)
	}
}

// underReferee gives the task that the referee answers, nil if it is settled.
func (j *Job) underReferee(task uint32) *openTask {
	if j.over || j.states[task] != open {
		return nil
	}
	if o := j.opens.at(j.slots[task]); o.referee == asked {
		return o
	}
	return nil
}

// judge settles a task on an answer that is certain. Whoever gave another one
// is a liar.
func (j *Job) judge(o *openTask, e *Event) {
	e.Sure = true
	o.referee = asked // it stays open while others lose what they had
	var liars []Volunteer
	for i := o.first; i != none; i = j.shares.at(i).next {
		if s := j.shares.at(i); s.state == voted && s.digest != e.Digest {
			liars = append(liars, s.volunteer)
		}
	}
	if o.accepted != none && j.kepts.at(o.accepted).digest != e.Digest {
		for i := j.kepts.at(o.accepted).first; i != none; i = j.vouches.at(i).next {
			liars = append(liars, j.vouches.at(i).volunteer)
		}
	}
	if kind, alarm := j.differs(o, e.Digest, liars); alarm {
		o.referee = wanted
		j.disputes = append(j.disputes, o.task)
		j.alarm(kind)
		return
	}
	j.caught(liars)
	j.inquire(o.task, liars)
	o.referee = unasked
	if o.accepted == none {
		j.accept(o, e)
		return
	}
	j.kepts.at(o.accepted).sure = true
	j.opinion(o, e)
}
