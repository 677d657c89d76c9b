package schedule

// How sure a job is of its results follows from a model: a share of the
// volunteers are liars who agree with one another, and each lies on a share of
// their tasks. A liar whose answers were compared k times, each time with those
// of a volunteer who is honest by the same chance, has not been caught with
//
//	(1 - lieRate × (1 - liars)) ^ k
//
// and an answer on which n of them agree is wrong with liars^n × lieRate times
// that, k being the sum over the n. After Sarmenta, Sabotage-Tolerance
// Mechanisms for Volunteer Computing Systems (FGCS 18, 2002), section 4, with
// quarantine for blacklisting.
const (
	// lieRate is how often a liar is taken to lie: who lies more often is
	// caught sooner, who lies less often does less harm.
	lieRate = 0.1
	// fewLiars is the share of liars that adaptive assumes before it has seen
	// any, and strict on a young grid; maxLiars the largest that the policies are made for.
	fewLiars = 0.002
	maxLiars = 0.3
	// How many results may be wrong, in the mean, in a job of each policy.
	adaptiveError = 5e-5
	strictError   = 1e-9
	// window is the number of answers of a volunteer in which they are to be
	// checked as often as it takes for their word to count.
	window = 200
	// maxVoters bounds the table: more voters need no more checks.
	maxVoters = 5
	// A lie counts for so many checks in the estimate of the share of liars.
	recent = 1024
	// The least and the most newcomers that are tried, for each accepted task,
	// and how many of the last ones tell which.
	fewTried, mostTried = 0.01, 0.5
	arrivals            = 64
)

// doubt estimates the share of liars and what follows from it.
type doubt struct {
	policy   Trust
	young    bool           // the grid was when the job began
	lies     int64          // share of the latest checks that found a lie, in units of 1/unit
	liars    int            // share of liars, per mille
	checks   [maxVoters]int // by number of voters: how often they must have been checked in all
	newLiars float64        // share of those who were established or caught lately that were caught
}

const unit = 1 << 40

func newDoubt(c Config) doubt {
	d := doubt{policy: c.Policy.Trust, young: c.Seniors < founders, liars: -1}
	if known := c.Established + c.Caught; known > 0 {
		d.lies = int64(float64(c.Caught) / float64(known) * lieRate * unit)
	}
	d.update()
	return d
}

// saw takes in that a check of an established volunteer did or did not find a
// lie.
func (d *doubt) saw(lie bool) {
	d.lies -= d.lies / recent
	if lie {
		d.lies += unit / recent
	}
	d.update()
}

// met takes in that a newcomer was established, or that somebody was caught.
func (d *doubt) met(liar bool) {
	d.newLiars -= d.newLiars / arrivals
	if liar {
		d.newLiars += 1.0 / arrivals
	}
}

// update computes what follows from the estimate, if that has changed.
func (d *doubt) update() {
	few := 0
	if d.policy == Adaptive || d.young {
		few = fewLiars * 1000
	}
	liars := min(max(few, int(d.lies*1000/(unit/10))), maxLiars*1000)
	if liars <= d.liars {
		return
	}
	d.liars = liars
	for n := range d.checks {
		d.checks[n] = checksFor(float64(liars)/1000, n, d.policy)
	}
}

// checksFor is how often n voters must have been checked in all.
func checksFor(liars float64, n int, policy Trust) (k int) {
	aim := adaptiveError
	if policy == Strict {
		aim = strictError
	}
	wrong := lieRate
	for range n {
		wrong *= liars
	}
	for ; wrong > aim; k++ {
		wrong *= 1 - lieRate*(1-liars)
	}
	return k
}

// enough says whether n voters who were checked so often in all are believed.
func (d *doubt) enough(n, checked int) bool {
	return n > 0 && checked >= d.checks[min(n, maxVoters-1)]
}

// copyChance is the chance that an answer is compared with somebody else's, of
// one whose answers were or are going to be so often. Both get checked, so half
// as many comparisons as checks are needed; who has just been established is
// looked at more closely, as in BOINC's adaptive replication.
func (d *doubt) copyChance(checked int) float64 {
	return max(float64(d.checks[1])/(2*window), 1/float64(1+checked))
}

// welcome is how many newcomers may be tried, for each task that is accepted:
// few while most of those who came lately turned out to be liars, who are going
// to come back under other names.
func (d *doubt) welcome() float64 {
	return max(fewTried, mostTried*(1-2*d.newLiars))
}
