package schedule

// Rules of thumb for reputations; docs/architecture.md says why these.
const (
	// Probation is how many answers of a newcomer must prove right.
	Probation = 3
	// seniorChecks is how many answers of an established volunteer others must have
	// confirmed until theirs prove others right while a grid is young.
	seniorChecks = 14
	// memory is how many answers of an established volunteer count before the
	// older ones begin to be forgotten.
	memory = 1000
	// A failure weighs this much, at most so much in all, and is forgotten by
	// one unit in a while.
	failureWeight = 8
	maxFailing    = 64
	forgetTime    = 120 * Second
	// From here on a volunteer gets one task at a time, and from here on none.
	fewFrom  = 3 * failureWeight
	noneFrom = 5 * failureWeight
)

// Standing is what the grid thinks of a volunteer.
type Standing uint8

// The standings.
const (
	Newcomer    Standing = iota // their word does not count alone
	Established                 // it does
	Quarantined                 // they have lied, and get no work any more
)

// A Reputation is what is known of a volunteer's conduct. What several jobs say
// of them may be added in any order: it comes to the same, or nearly.
type Reputation struct {
	Standing Standing `json:"standing"`
	Proven   int      `json:"proven,omitempty"`   // answers of a newcomer that were right
	Answered int      `json:"answered,omitempty"` // answers since they are established, lately,
	Checked  int      `json:"checked,omitempty"`  // and how many of them others have confirmed
	Failing  int      `json:"failing,omitempty"`  // weight of what failed or ran out of time
	FailedAt Time     `json:"failed_at,omitempty"`
	CaughtAt Time     `json:"caught_at,omitempty"`
	// PardonedAt is when a quarantine was lifted last.
	PardonedAt Time `json:"pardoned_at,omitempty"`
}

// Did is what a volunteer did: a change of their reputation.
type Did struct {
	Right    int  // answers that others have confirmed
	Alone    int  // answers that were accepted on their word
	Failures int  // tasks that failed with them and with nobody else, or that ran out of time
	Lied     bool // an answer was wrong: honest ones are the same, bit for bit
	At       Time
	// Reinstated says that what was taken for a lie was a difference of kinds of machines.
	Reinstated bool
}

// Add puts what two did together.
func (d Did) Add(other Did) Did {
	return Did{
		d.Right + other.Right, d.Alone + other.Alone, d.Failures + other.Failures,
		d.Lied || other.Lied, max(d.At, other.At), d.Reinstated || other.Reinstated,
	}
}

// Less is what is left of d without a part of it.
func (d Did) Less(part Did) Did {
	return Did{
		d.Right - part.Right, d.Alone - part.Alone, d.Failures - part.Failures,
		d.Lied && !part.Lied, d.At, d.Reinstated && !part.Reinstated,
	}
}

// After is the reputation after what a volunteer did.
func (r Reputation) After(d Did) Reputation {
	right := d.Right
	if r.Standing == Newcomer && !d.Lied {
		proving := max(0, min(right, Probation-r.Proven)) // before, it took more
		right -= proving
		if r.Proven += proving; r.Proven >= Probation {
			r.Standing = Established
		}
	}
	if r.Standing == Established {
		r.Answered, r.Checked = r.Answered+right+d.Alone, r.Checked+right
		for r.Answered > memory {
			r.Answered, r.Checked = r.Answered/2, r.Checked/2
		}
	}
	switch {
	case d.Reinstated && r.Standing == Quarantined:
		r.Standing, r.PardonedAt = Newcomer, d.At
		if r.Proven >= Probation {
			r.Standing = Established
		}
	case d.Lied && !d.Reinstated:
		r.Standing, r.CaughtAt = Quarantined, d.At
	}
	if d.Failures > 0 {
		r.Failing = min(maxFailing, r.failing(d.At)+failureWeight*d.Failures)
		r.FailedAt = d.At
	} else {
		r.Failing = max(0, r.Failing-d.Right-d.Alone)
	}
	return r
}

// Senior says whether others have confirmed so many answers of an established
// volunteer that they are hardly a liar.
func (r Reputation) Senior() bool { return r.Standing == Established && r.Checked >= seniorChecks }

// Pardoned is the reputation after the operator has lifted a quarantine: a
// newcomer's, whatever was before.
func (r Reputation) Pardoned(at Time) Reputation {
	return Reputation{CaughtAt: r.CaughtAt, PardonedAt: at}
}

// failing is the weight of what failed that is not forgotten yet.
func (r Reputation) failing(now Time) int {
	return max(0, r.Failing-int(max(0, now-r.FailedAt)/forgetTime))
}

// Limit is how many tasks a volunteer may have at a time, -1 for any number,
// and until when, if that is 0.
func (r Reputation) Limit(now Time) (tasks int, until Time) {
	switch failing := r.failing(now); {
	case r.Standing == Quarantined:
		return 0, 0
	case failing >= noneFrom:
		return 0, r.FailedAt + Time(r.Failing-noneFrom+1)*forgetTime
	case failing >= fewFrom:
		return 1, 0
	case r.Standing == Newcomer:
		return Probation, 0
	}
	return -1, 0
}
