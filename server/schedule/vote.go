package schedule

// ballot finds where a volunteer's answer to a task goes, nil if it is not
// wanted. An answer to a lease that has lapsed, or that an earlier owner of the
// job lent, counts like any other.
func (j *Job) ballot(e *Event) (*openTask, *share) {
	if j.over || j.states[e.Task] == done || j.states[e.Task] == skipped {
		j.emit(Effect{Kind: Late, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		return nil, nil
	}
	if j.person(e.Volunteer).Standing == Quarantined {
		j.refuse(e, "this volunteer has given wrong results")
		return nil, nil
	}
	o := j.touch(e.Task)
	i, s := j.share(o, e.Volunteer)
	switch {
	case s == nil && o.accepted != none: // nobody asked them
		j.emit(Effect{Kind: Late, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		return nil, nil
	case s == nil:
		_, s = j.addShare(o, e.Volunteer, e.Worker)
		j.setQuorum(o, e.Volunteer)
	case s.state == lent:
		j.answered(i, s, e)
	case s.state == voted && e.Kind == Result && s.digest == e.Digest: // they did not hear the answer
		j.emit(Effect{Kind: Pending, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		return nil, nil
	case s.state == voted || s.state == failed && j.weighs():
		j.refuse(e, "this volunteer has answered this task already")
		return nil, nil
	}
	s.span = millis(e.Took)
	return o, s
}

func (j *Job) refuse(e *Event, why string) {
	j.emit(Effect{Kind: Refuse, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker, Reason: why})
}

func (j *Job) result(e *Event) {
	o, s := j.ballot(e)
	if o == nil {
		return
	}
	s.state, s.digest = voted, e.Digest
	j.measure(e.Took)
	switch {
	case j.person(e.Volunteer).trusted && j.weighs():
		j.judge(o, e)
	case o.accepted != none:
		j.opinion(o, e)
	case o.referee != inVain && j.disagree(o):
		j.pending(e)
		j.callFor(o)
	case j.party(o, voted, e.Digest) < int(o.quorum):
		j.pending(e)
		switch {
		case j.fail(o, "their answers disagree"):
		case j.untaught(e.Volunteer) && !j.alone(o):
			j.callFor(o)
		default:
			j.requeue(o)
		}
	case o.confirm && !j.alone(o):
		j.pending(e)
		j.callFor(o)
	default:
		j.accept(o, e)
	}
}

func (j *Job) pending(e *Event) {
	j.emit(Effect{Kind: Pending, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
}

// disagree says whether answers to an open task differ: somebody lies, for
// honest ones are the same, bit for bit. Who was caught is not heard any more.
func (j *Job) disagree(o *openTask) bool {
	var first *share
	for i := o.first; i != none; i = j.shares.at(i).next {
		switch s := j.shares.at(i); {
		case s.state != voted || j.person(s.volunteer).Standing == Quarantined:
		case first == nil:
			first = s
		case first.digest != s.digest:
			return true
		}
	}
	return false
}

// accept settles a task on the answer just given.
func (j *Job) accept(o *openTask, e *Event) {
	accept := Effect{
		Kind: Accept, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker, Sure: e.Sure,
		Votes: make([]Vote, 0, max(1, o.quorum)),
	}
	for i := o.first; i != none; i = j.shares.at(i).next {
		accept.Tries++
		switch s := j.shares.at(i); {
		case s.state == voted && s.digest == e.Digest && j.person(s.volunteer).Standing != Quarantined:
			accept.Votes = append(accept.Votes, Vote{s.volunteer, s.lent, s.span})
		case s.state == voted:
			accept.Dissents++
			j.emit(Effect{Kind: Dissent, Task: e.Task, Volunteer: s.volunteer, Worker: s.worker})
		case s.state == failed:
			j.did(s.volunteer, Did{Failures: 1})
		}
	}
	j.emit(accept)
	if j.weighs() {
		o.accepted = j.keep(e.Task, e.Digest, e.Sure, accept.Votes)
		j.credit(accept.Votes, e.Sure)
	}
	j.settle(o)
	j.accepted++
}

// credit notes what an accepted answer says of those who gave it.
func (j *Job) credit(votes []Vote, sure bool) {
	proving := 0
	for _, v := range votes {
		if j.proves(v.Volunteer) {
			proving++
		}
	}
	for _, v := range votes {
		others := proving
		if j.proves(v.Volunteer) {
			others--
		}
		if sure || others > 0 {
			j.did(v.Volunteer, Did{Right: 1})
		} else {
			j.did(v.Volunteer, Did{Alone: 1})
		}
	}
}

// measure takes one duration into the mean, the newest with a weight of 1/16.
func (j *Job) measure(took Time) {
	took = max(1, min(took, j.config.TimeLimit))
	if j.mean == 0 {
		j.mean = took
	}
	j.mean = max(1, j.mean+(took-j.mean)/16)
}
