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
)

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
