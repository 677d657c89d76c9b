package schedule

import "slices"

const (
	// A difference of kinds is raised when so many independent volunteers of one
	// kind of machine differ from the referee,
	alarmVolunteers = 3
	// each of whom others have confirmed so often before, so that strangers cannot
	// stop a job by what they say that they are,
	alarmChecked = 10
	// and at most one in so many answers of that kind to the same tasks is right.
	alarmAgree = 4
	// maxWitnesses is how many are asked at the most whether they differ too.
	maxWitnesses = 8
)

// A question is put to others with the kind of machine of one who differed from the
// referee: whether they differ at that task too. So few answers are compared under
// Adaptive that a kind that errs would else look like one or two liars.
type question struct {
	task, kind uint32
	asked      int
	until      Time // the job does not end before
}

// A kindTally is what the job saw of volunteers with one kind of machine.
type kindTally struct {
	differ []Volunteer // the referee has another answer than these, who had a good name
	agree  int         // right answers to tasks at which others of the kind differ
	steady int         // volunteers of the kind who were confirmed, and never differed
}

// tallyOf gives the tally of a kind.
func (j *Job) tallyOf(kind uint32) *kindTally {
	for int(kind) >= len(j.kinds) {
		j.kinds = append(j.kinds, kindTally{})
	}
	return &j.kinds[kind]
}

// confirmed notes that others have confirmed an answer of a volunteer.
func (j *Job) confirmed(p *person) {
	if !p.confirmed && !p.differed && p.kind != 0 {
		p.confirmed = true
		j.tallyOf(p.kind).steady++
	}
}

// differs notes who has another answer than the referee, and says whether that is
// a difference of kinds by now.
func (j *Job) differs(o *openTask, right Digest, liars []Volunteer) (kind uint32, alarm bool) {
	for _, v := range liars {
		p := j.person(v)
		if p.kind == 0 {
			continue
		}
		t := j.tallyOf(p.kind)
		if p.confirmed {
			p.confirmed = false
			t.steady--
		}
		if !p.differed && p.Standing == Established && p.Checked >= alarmChecked && j.independent(v, t.differ) {
			t.differ = append(t.differ, v)
		}
		p.differed = true
	}
	j.agrees(o, right, liars)
	for _, v := range liars {
		kind := j.person(v).kind
		if kind != 0 && j.differenceOf(kind) {
			return kind, !j.decided
		}
	}
	return 0, false
}

// differenceOf says whether what was seen of a kind is the fault of the kind: most
// of its volunteers differ, or those of no other kind do.
func (j *Job) differenceOf(kind uint32) bool {
	t := j.tallyOf(kind)
	if len(t.differ) < alarmVolunteers || t.agree*alarmAgree > len(t.differ) {
		return false
	}
	others := 0
	for k := range j.kinds {
		if k != int(kind) {
			others += len(j.kinds[k].differ)
		}
	}
	return others == 0 || len(t.differ) > t.steady
}

// inquire asks others of a kind whether they differ too, where some do and it is
// not known yet whether that is the kind's fault.
func (j *Job) inquire(task uint32, liars []Volunteer) {
	for _, v := range liars {
		kind := j.person(v).kind
		if j.decided || kind == 0 || len(j.tallyOf(kind).differ) == 0 || j.tallyOf(kind).agree > 0 {
			continue
		}
		q := question{task: task, kind: kind, until: j.now + j.hearing()}
		if i := slices.IndexFunc(j.questions, func(q question) bool { return q.kind == kind }); i >= 0 {
			q.asked = j.questions[i].asked
			j.questions[i] = q
		} else {
			j.questions = append(j.questions, q)
		}
	}
}

// hearing is how long an answer to a question is waited for.
func (j *Job) hearing() Time { return patience + 2*j.mean }

// lendWitness lends a volunteer with a good name the task of a question to their
// kind. That looks like any other work.
func (j *Job) lendWitness(e *Event) (left int) {
	p := j.person(e.Volunteer)
	i := slices.IndexFunc(j.questions, func(q question) bool { return q.kind == p.kind && q.asked < maxWitnesses })
	if i < 0 || p.differed || p.Checked < alarmChecked || !j.independent(e.Volunteer, j.tallyOf(p.kind).differ) {
		return e.N
	}
	q := &j.questions[i]
	if k := j.kept(q.task); k == none || !j.kepts.at(k).sure || j.stoodBy(k, e.Volunteer) {
		return e.N
	}
	o := j.touch(q.task)
	if o.referee != unasked || !j.may(o, e) {
		j.rest(o)
		return e.N
	}
	j.lend(o, e)
	q.asked++
	q.until = j.now + j.hearing()
	return e.N - 1
}

// testified closes the question to a kind of which somebody has the right answer.
func (j *Job) testified(task uint32, v Volunteer) {
	kind := j.person(v).kind
	j.questions = slices.DeleteFunc(j.questions, func(q question) bool {
		if q.task != task || q.kind != kind {
			return false
		}
		j.tallyOf(kind).agree++
		return true
	})
}

// questioned says whether an answer to a question may still come.
func (j *Job) questioned() bool {
	return slices.ContainsFunc(j.questions, func(q question) bool { return j.now < q.until })
}

// independent says whether a volunteer is of another network than all of some.
func (j *Job) independent(v Volunteer, some []Volunteer) bool {
	network := j.person(v).network
	return network == 0 || !slices.ContainsFunc(some, func(other Volunteer) bool { return j.person(other).network == network })
}

// agrees counts right answers to a task from the kinds of those who differ.
func (j *Job) agrees(o *openTask, right Digest, liars []Volunteer) {
	for i := o.first; i != none; i = j.shares.at(i).next {
		s := j.shares.at(i)
		if s.state != voted || s.digest != right {
			continue
		}
		kind := j.person(s.volunteer).kind
		if slices.ContainsFunc(liars, func(v Volunteer) bool { return j.person(v).kind == kind }) {
			j.tallyOf(kind).agree++
		}
	}
}

// alarm stops the job until somebody decides: a kind of machine computes something
// else than the others. Those who are in quarantine for it are not any more.
func (j *Job) alarm(kind uint32) {
	j.halt()
	for v := range j.people {
		if p := &j.people[v]; p.kind == kind && p.expelled && p.Standing == Quarantined {
			p.expelled = false
			j.did(Volunteer(v), Did{Reinstated: true})
		}
	}
	j.questions = nil
	j.emit(Effect{Kind: Alarm, Machine: kind})
}

// halt has nothing be lent or accepted until Resume.
func (j *Job) halt() { j.paused, j.held = true, true }

// release ends a pause. After an alarm it was decided that the referee is right.
func (j *Job) release() {
	j.decided = j.decided || j.held
	j.paused, j.held = false, false
}

// postpone takes an answer that comes while nothing is accepted for a lease that was
// given back: its task is computed again.
func (j *Job) postpone(e *Event) {
	if e.Kind == Verdict || e.Kind == NoVerdict {
		j.judging--
		if o := j.underReferee(e.Task); o != nil {
			o.referee = wanted
			j.disputes = append(j.disputes, e.Task)
		}
		return
	}
	j.pending(e)
	j.giveBack(e)
}
