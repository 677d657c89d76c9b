package schedule

import "fmt"

// ballot finds where a volunteer's answer to a task goes, nil if it is not
// wanted. An answer to a lease that has lapsed, or that an earlier owner of the
// job lent, counts like any other.
func (j *Job) ballot(e Event) (*openTask, *share) {
	if j.over || j.states[e.Task] == done {
		j.emit(Effect{Kind: Late, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		return nil, nil
	}
	o := j.touch(e.Task)
	i, s := j.share(o, e.Volunteer)
	switch {
	case s == nil:
		_, s = j.addShare(o, e.Volunteer, e.Worker)
	case s.state == lent:
		j.unlend(i)
	case s.state == voted && e.Kind == Result && s.digest == e.Digest: // he did not hear the answer
		j.emit(Effect{Kind: Pending, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		return nil, nil
	case s.state == voted || s.state == failed && j.config.Policy.Trust != Trusted:
		j.emit(Effect{
			Kind: Refuse, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker,
			Reason: "this volunteer has answered this task already",
		})
		return nil, nil
	}
	s.span = millis(e.Took)
	return o, s
}

func (j *Job) result(e Event) {
	o, s := j.ballot(e)
	if o == nil {
		return
	}
	s.state, s.digest = voted, e.Digest
	j.measure(e.Took)
	if j.party(o, voted, e.Digest) < j.config.Policy.Quorum {
		j.emit(Effect{Kind: Pending, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
		if !j.hopeless(o, "their answers disagree") {
			j.requeue(o)
		}
		return
	}
	j.accept(o, e)
}

// accept settles a task on the answer just given.
func (j *Job) accept(o *openTask, e Event) {
	accept := Effect{
		Kind: Accept, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker,
		Votes: make([]Vote, 0, j.config.Policy.Quorum),
	}
	for i := o.first; i != none; i = j.shares.at(i).next {
		accept.Tries++
		switch s := j.shares.at(i); {
		case s.state == voted && s.digest == e.Digest:
			accept.Votes = append(accept.Votes, Vote{s.volunteer, s.lent, s.span})
		case s.state == voted:
			accept.Dissents++
			j.emit(Effect{Kind: Dissent, Task: e.Task, Volunteer: s.volunteer, Worker: s.worker})
		}
	}
	j.emit(accept)
	j.settle(o)
	j.count()
}

func (j *Job) failure(e Event) {
	o, s := j.ballot(e)
	if o == nil {
		return
	}
	s.state, s.digest = failed, e.Digest
	o.failures++
	same := j.party(o, failed, e.Digest)
	if j.config.Policy.Trust == Trusted {
		same = int(o.failures) // own machines are believed, the same one again too
	}
	if same >= maxFailures {
		j.fail(o, fmt.Sprintf("task %d failed %d times: %s", e.Task, same, e.Reason))
		return
	}
	j.emit(Effect{Kind: Pending, Task: e.Task, Volunteer: e.Volunteer, Worker: e.Worker})
	if !j.hopeless(o, "the last one said: "+e.Reason) {
		j.requeue(o)
	}
}

// hopeless fails a job whose task too many volunteers have tried in vain.
func (j *Job) hopeless(o *openTask, why string) bool {
	_, _, all := j.tally(o)
	if all < maxShares+j.config.Policy.Quorum {
		return false
	}
	j.fail(o, fmt.Sprintf("task %d was tried by %d volunteers in vain; %s", o.task, all, why))
	return true
}

func (j *Job) fail(o *openTask, reason string) {
	j.emit(Effect{Kind: Fail, Task: o.task, Reason: reason})
	j.settle(o)
	j.end()
}

// measure takes one duration into the mean, the newest with a weight of 1/16.
func (j *Job) measure(took Time) {
	took = max(1, min(took, j.config.TimeLimit))
	if j.mean == 0 {
		j.mean = took
	}
	j.mean = max(1, j.mean+(took-j.mean)/16)
}
