package schedule

// A kept result is one that is accepted for now. Until the job ends it can be
// taken back, and another opinion can be asked for.
type kept struct {
	digest Digest
	first  uint32 // vouch
	sure   bool
}

// A vouch is one volunteer's word for a kept result.
type vouch struct {
	volunteer Volunteer
	task      uint32
	next      uint32 // of the same result
	older     uint32 // of the same volunteer
}

// kept gives the kept result of a task, none if it has none.
func (j *Job) kept(task uint32) uint32 {
	switch {
	case !j.weighs() || j.states[task] == fresh || j.states[task] == skipped:
		return none
	case j.states[task] == open:
		return j.opens.at(j.slots[task]).accepted
	}
	return j.slots[task]
}

// keep notes who stands by an accepted result.
func (j *Job) keep(task uint32, d Digest, sure bool, votes []Vote) uint32 {
	i := j.kepts.take(kept{digest: d, first: none, sure: sure})
	for _, v := range votes {
		if j.person(v.Volunteer).Standing != Quarantined {
			j.vouchFor(i, task, v.Volunteer)
		}
	}
	return i
}

func (j *Job) vouchFor(i, task uint32, v Volunteer) {
	k, p := j.kepts.at(i), j.person(v)
	k.first = j.vouches.take(vouch{volunteer: v, task: task, next: k.first, older: p.first})
	p.first = k.first
}

// stoodBy says whether a volunteer, or another one of their network, stands by a
// kept result.
func (j *Job) stoodBy(i uint32, v Volunteer) bool {
	network := j.voter(v)
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		if by := j.vouches.at(w).volunteer; by == v || network != 0 && j.voter(by) == network {
			return true
		}
	}
	return false
}

// firm is how many of those who stand by a kept result have a word that counts;
// those of one network are one.
func (j *Job) firm(i uint32) (n int) {
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		if j.speaks(w) {
			n++
		}
	}
	return n
}

// speaks says whether a vouch counts, and is the last one of its network.
func (j *Job) speaks(w uint32) bool {
	v := j.vouches.at(w).volunteer
	if !j.counts(v) {
		return false
	}
	network := j.voter(v)
	for w = j.vouches.at(w).next; w != none && network != 0; w = j.vouches.at(w).next {
		if j.voter(j.vouches.at(w).volunteer) == network {
			return false
		}
	}
	return true
}

// known says whether a kept result is certain enough to try newcomers with it.
func (j *Job) known(i uint32) bool {
	if j.kepts.at(i).sure {
		return true
	}
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		if j.proves(j.vouches.at(w).volunteer) {
			return true
		}
	}
	return false
}

// unvouch takes a vouch from its result, and the result back if it was the last.
func (j *Job) unvouch(task, w uint32) {
	i := j.kept(task)
	k := j.kepts.at(i)
	at := &k.first
	for *at != w {
		at = &j.vouches.at(*at).next
	}
	*at = j.vouches.at(w).next
	if k.first == none && !k.sure {
		j.retract(task, i)
	} else if j.states[task] == open {
		j.rest(j.opens.at(j.slots[task])) // it may take another opinion now
	}
}

// retract takes back an accepted result that nobody stands by: its task is to
// be done again.
func (j *Job) retract(task, i uint32) {
	j.kepts.give(i)
	j.accepted--
	j.emit(Effect{Kind: Retract, Task: task})
	if j.states[task] == done {
		j.states[task] = fresh
	} else {
		o := j.opens.at(j.slots[task])
		j.asked--
		j.stopAudit(o)
		o.accepted, o.quorum = none, 0
	}
	j.requeue(j.touch(task))
}

func (j *Job) stopAudit(o *openTask) {
	if o.audit {
		o.audit = false
		j.audits--
	}
}

// opinion takes another answer to a task that is accepted.
func (j *Job) opinion(o *openTask, e *Event) {
	k := j.kepts.at(o.accepted)
	if e.Digest != k.digest {
		j.pending(e)
		if k.sure {
			j.judge(o, &Event{Kind: Verdict, Task: o.task, Digest: k.digest})
		} else {
			j.callFor(o)
		}
		return
	}
	if j.firm(o.accepted) <= 1 && (e.Sure || j.proves(e.Volunteer)) || e.Sure && j.young() { // nobody has confirmed it before
		for w := k.first; w != none; w = j.vouches.at(w).next {
			if v := j.vouches.at(w).volunteer; j.counts(v) {
				j.did(v, Did{Right: 1})
			}
		}
	}
	confirm := Effect{Kind: Confirm, Task: o.task, Volunteer: e.Volunteer, Worker: e.Worker, Sure: k.sure}
	if e.Kind == Result {
		i, s := j.share(o, e.Volunteer)
		confirm.Votes = []Vote{{s.volunteer, s.lent, s.span}}
		if j.known(o.accepted) {
			j.did(e.Volunteer, Did{Right: 1})
		}
		j.vouchFor(o.accepted, o.task, e.Volunteer)
		j.testified(o.task, e.Volunteer)
		j.dropShare(o, i)
	}
	j.emit(confirm)
	j.rest(o)
}

// rest closes an accepted task again when no opinion on it is waited for.
func (j *Job) rest(o *openTask) {
	if o.referee == wanted || o.referee == asked {
		return
	}
	if o.audit && j.missing(o) > 0 {
		j.requeue(o)
		return
	}
	for i := o.first; i != none; i = j.shares.at(i).next {
		if j.shares.at(i).state == lent {
			return
		}
	}
	j.asked--
	j.stopAudit(o)
	j.settle(o)
}

// audit looks through all results for those whose voters were not checked often
// enough, and asks for another opinion on as many as it takes to check them. It
// says whether there were any.
func (j *Job) audit() bool {
	j.rounds++
	n := j.config.Tasks
	task, stride := j.rand.IntN(n), 1+j.rand.IntN(n)
	for gcd(stride, n) != 1 {
		stride = stride%n + 1
	}
	for range n { // every task once, from anywhere
		task = (task + stride) % n
		j.auditTask(uint32(task))
	}
	return j.audits > 0
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (j *Job) auditTask(task uint32) {
	i := j.kept(task)
	if i == none || j.kepts.at(i).sure { // it was skipped, or nobody can doubt it
		return
	}
	voters, checked := 0, 0
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		if !j.speaks(w) {
			continue
		}
		voters++
		p := j.person(j.vouches.at(w).volunteer)
		checked += p.Checked
		if p.round == j.rounds {
			checked += p.pledged
		}
	}
	if j.doubt.enough(voters, checked) {
		return
	}
	o := j.touch(task)
	o.audit, o.quorum = true, uint8(min(voters+1, MaxQuorum))
	j.audits++
	if j.young() && j.config.Referees > 0 { // others prove nothing
		j.callFor(o)
	} else {
		j.requeue(o)
	}
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		if p := j.person(j.vouches.at(w).volunteer); p.round != j.rounds {
			p.round, p.pledged = j.rounds, 1
		} else {
			p.pledged++
		}
	}
}

// restore takes a result as accepted that was so before, if one of those who
// gave it may still be believed. What is said later of a task counts.
func (j *Job) restore(e *Event) {
	if !j.weighs() {
		if j.states[e.Task] == fresh {
			j.states[e.Task] = done
			j.accepted++
		}
		return
	}
	if old := j.kept(e.Task); old != none && j.states[e.Task] == done {
		j.forget(old)
		j.states[e.Task] = fresh
	} else if j.states[e.Task] != fresh {
		return
	}
	i := j.keep(e.Task, e.Digest, e.Sure, e.Votes)
	if k := j.kepts.at(i); k.first == none && !k.sure {
		j.kepts.give(i)
		return
	}
	j.states[e.Task], j.slots[e.Task] = done, i
	j.accepted++
}

// forget drops a kept result that its volunteers go on to stand by. It looks for
// its vouches among all of theirs, so it is not for every day.
func (j *Job) forget(i uint32) {
	for w := j.kepts.at(i).first; w != none; {
		gone := *j.vouches.at(w)
		at := &j.person(gone.volunteer).first
		for *at != w {
			at = &j.vouches.at(*at).older
		}
		*at = gone.older
		j.vouches.give(w)
		w = gone.next
	}
	j.kepts.give(i)
	j.accepted--
}

// contest takes an accepted result back that somebody doubts and the referee
// cannot decide on: those who stand by it are voters like any other again.
func (j *Job) contest(o *openTask) {
	i := o.accepted
	d := j.kepts.at(i).digest
	for w := j.kepts.at(i).first; w != none; w = j.vouches.at(w).next {
		_, s := j.addShare(o, j.vouches.at(w).volunteer, 0)
		s.state, s.digest = voted, d
	}
	j.forget(i)
	j.asked--
	j.stopAudit(o)
	o.accepted = none
	j.emit(Effect{Kind: Retract, Task: o.task})
}
