package schedule

import (
	"fmt"
	"math"
)

// A failure is evidence, as a result is: it counts for as much as who says it is
// believed, and ends a job in one place, see fail.
const (
	// maxFailures of distinct volunteers in the same way call for the referee.
	maxFailures = 3
	// maxShares failures in any ways do too. So many more volunteers than its quorum
	// may try a task in vain, whatever they say, where the referee cannot help.
	maxShares = 20
)

// failure notes that a volunteer failed. The referee looks at it while it has
// nothing else to do, so that a program that always fails is found out at once,
// however few there are to try it; else the task goes to others first.
func (j *Job) failure(e *Event) {
	o, s := j.ballot(e)
	if o == nil {
		return
	}
	s.state, s.digest = failed, e.Digest
	s.blame(e.Blame)
	j.pending(e)
	if o.accepted != none { // others could do it
		i, _ := j.share(o, e.Volunteer)
		j.dropShare(o, i)
		j.did(e.Volunteer, Did{Failures: 1})
		j.rest(o)
		return
	}
	o.failures = min(o.failures, math.MaxUint8-1) + 1
	switch {
	case j.fail(o, e.Reason):
	case !j.alone(o) && (e.Blame != OfMachine && j.idle() || o.failures >= maxShares || j.failures(o, e.Digest, false) >= maxFailures):
		j.callFor(o)
	default:
		if !j.counts(e.Volunteer) {
			j.unqueue(o) // other newcomers passed it over while this one had it
		}
		j.requeue(o)
	}
}

// idle says whether the referee has nothing to do for this job.
func (j *Job) idle() bool {
	j.dropSettled()
	return j.judging < j.config.Referees && len(j.disputes) == 0
}

// alone says whether volunteers have to decide on a task without the referee.
func (j *Job) alone(o *openTask) bool { return o.referee == inVain || j.config.Referees == 0 }

// noVerdict takes that the referee failed. A program that ended badly does so
// everywhere. That it ran out of time, or that its executor died, may be the
// server's fault: then it takes a volunteer too who is believed.
func (j *Job) noVerdict(e *Event) {
	j.judging--
	if o := j.underReferee(e.Task); o != nil {
		j.gaveUp(o, e)
	}
	j.call()
}

func (j *Job) gaveUp(o *openTask, e *Event) {
	if e.Blame == OfMachine { // the server's own trouble: it tries again
		o.referee, j.served = unasked, j.now
		if o.accepted != none { // or another opinion tells
			o.quorum = uint8(min(j.firm(o.accepted)+1, MaxQuorum))
		}
		j.requeue(o)
		return
	}
	j.vain[o.task] = e.Digest
	o.certain, o.referee = e.Blame == OfTask, inVain
	if !j.fail(o, e.Reason) {
		j.decide(o)
	}
}

// omit leaves out a task that cannot be done; the job goes on.
func (j *Job) omit(o *openTask, reason string) {
	task := o.task
	if i := o.accepted; i != none {
		j.forget(i)
		j.asked--
		j.stopAudit(o)
		o.accepted = none
		j.emit(Effect{Kind: Retract, Task: task})
	}
	j.settle(o)
	j.leaveOut(task)
	j.lastSkipped, j.lastReason = task, reason
	j.emit(Effect{Kind: Skip, Task: task, Reason: reason})
}

// leaveOut counts a task that nobody works on as one that needs no result.
func (j *Job) leaveOut(task uint32) {
	j.states[task], j.slots[task] = skipped, none
	j.accepted++
	j.skipped++
}

// fail ends the job if a task cannot be done, and is all that does; under Skip the
// task is left out instead. It takes the
// word of the referee; or, where it failed in a way that may be its machine's
// fault, of volunteers who are believed; or of those alone where there is no
// referee. Under Trusted everybody is believed. Strangers are not, whatever they
// say and however many they are.
func (j *Job) fail(o *openTask, reason string) bool {
	way, tried := j.vain[o.task]
	_, _, all := j.tally(o)
	same := 0
	if j.alone(o) {
		same = j.mostFailures(o)
	}
	switch {
	case o.certain && o.failures == 0:
		reason = fmt.Sprintf("task %d failed with the referee: %s", o.task, reason)
	case o.certain, tried && j.failedLike(o, way):
		reason = fmt.Sprintf("task %d failed with the referee too: %s", o.task, reason)
	case same >= maxFailures:
		reason = fmt.Sprintf("task %d failed %d times: %s", o.task, same, reason)
	case j.alone(o) && all >= maxShares+int(o.quorum):
		reason = fmt.Sprintf("task %d was tried by %d volunteers in vain: %s", o.task, all, reason)
	default:
		return false
	}
	if j.config.Skip {
		j.omit(o, reason)
		return true
	}
	j.emit(Effect{Kind: Fail, Task: o.task, Reason: reason})
	if o.accepted != none {
		j.asked--
		j.stopAudit(o)
	}
	j.settle(o)
	j.end()
	return true
}

// failedLike says whether somebody who is believed failed at a task in a way; or
// anybody, where nobody is about who is believed and nobody has an answer.
func (j *Job) failedLike(o *openTask, way Digest) (like bool) {
	attended := j.attended()
	for i := o.first; i != none; i = j.shares.at(i).next {
		switch s := j.shares.at(i); {
		case s.state == voted && !attended:
			return false
		case s.state == failed && s.digest == way:
			like = like || !attended || j.counts(s.volunteer)
		}
	}
	return like
}

// blame notes whose fault a failure may be.
func (s *share) blame(b Blame) {
	if b == OfTask {
		s.failures = min(s.failures, math.MaxUint8-1) + 1
	} else {
		s.doubts |= 1 << b
	}
}

// mostFailures is how many of those who are believed failed at a task in the same
// way, by its own fault.
func (j *Job) mostFailures(o *openTask) (most int) {
	for i := o.first; i != none; i = j.shares.at(i).next {
		if s := j.shares.at(i); s.failures+s.doubts > 0 && j.counts(s.volunteer) {
			most = max(most, j.failures(o, s.digest, true))
		}
	}
	return most
}

// failures counts the failures of a task in the same way that are its own fault,
// of all or of those who are believed. Own machines are believed whatever the way,
// and the same one again too.
func (j *Job) failures(o *openTask, way Digest, believed bool) int {
	proven, twice, elsewhere := 0, 0, 0
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		if j.weighs() && (s.state != failed || s.digest != way || believed && !j.counts(s.volunteer)) {
			continue
		}
		proven += int(s.failures)
		twice += int(s.doubts >> Twice & 1)
		elsewhere += int(s.doubts >> Elsewhere & 1)
	}
	if twice > 1 {
		proven += twice
	}
	if proven > 0 {
		proven += elsewhere
	}
	return proven
}
