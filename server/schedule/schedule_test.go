package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

var eventNames = map[string]EventKind{
	"want": Want, "result": Result, "failure": Failure, "return": Return, "gone": Gone,
	"tick": Tick, "gap": Gap, "pause": Pause, "hold": Hold, "resume": Resume, "cancel": Cancel, "restore": Restore,
	"know": Know, "verdict": Verdict, "noverdict": NoVerdict,
}

var effectNames = map[EffectKind]string{
	Lend: "lend", Accept: "accept", Pending: "pending", Late: "late", Refuse: "refuse",
	Revoke: "revoke", Dissent: "dissent", Fail: "fail", Finish: "finish",
	Confirm: "confirm", Retract: "retract", Judge: "judge", Conduct: "conduct", Alarm: "alarm",
}

// stage plays scenarios: people by name, each with workers by number.
type stage struct {
	job      *Job
	now      Time
	people   []string
	believed bool // all have a good name
}

func (s *stage) person(name string) Volunteer {
	for i, p := range s.people {
		if p == name {
			return Volunteer(i)
		}
	}
	v := Volunteer(len(s.people))
	s.people = append(s.people, name)
	if s.believed {
		s.job.Step(s.now, Event{Kind: Know, Volunteer: v, Reputation: Reputation{Standing: Established, Checked: 500}}, nil)
	}
	return v
}

// TestScenarios plays the files of testdata: a line is an event and what comes
// after ---- its effects. Run with -rewrite to write what happens now.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		s := &stage{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "job":
				return s.start(t, d)
			case "tiles":
				return s.tiles(t, d)
			case "shares":
				return s.shares(t, d)
			case "counts":
				return s.counts()
			case "next":
				return s.next()
			}
			return s.play(t, d)
		})
	})
}

func (s *stage) start(t *testing.T, d *datadriven.TestData) string {
	c := Config{TimeLimit: 60 * Second}
	d.MaybeScanArgs(t, "tasks", &c.Tasks)
	d.MaybeScanArgs(t, "referees", &c.Referees)
	d.MaybeScanArgs(t, "established", &c.Established)
	c.Seniors = c.Established
	if d.HasArg("adaptive") {
		c.Policy.Trust = Adaptive
	}
	if d.MaybeScanArgs(t, "strict", &c.Policy.Quorum) {
		c.Policy.Trust = Strict
	}
	if err := c.Validate(); err != nil {
		return err.Error() + "\n"
	}
	*s = stage{job: New(c), believed: d.HasArg("believed")}
	return ""
}

func (s *stage) play(t *testing.T, d *datadriven.TestData) string {
	e := Event{Kind: eventNames[d.Cmd], N: 1, Slots: 8, Took: Second}
	var at, took, millis int
	var by, digest, why string
	if d.MaybeScanArgs(t, "at", &at) {
		s.now = Time(at) * Second
	}
	if d.MaybeScanArgs(t, "ms", &millis) {
		s.now += Time(millis) * Second / 1000
	}
	if d.MaybeScanArgs(t, "by", &by) {
		e.Volunteer = s.person(by)
		e.Worker = e.Volunteer
	}
	var task, worker int
	if d.MaybeScanArgs(t, "task", &task) {
		e.Task = uint32(task)
	}
	if d.MaybeScanArgs(t, "worker", &worker) {
		e.Worker = Worker(worker)
	}
	if d.MaybeScanArgs(t, "took", &took) {
		e.Took = Time(took) * Second
	}
	d.MaybeScanArgs(t, "n", &e.N)
	d.MaybeScanArgs(t, "slots", &e.Slots)
	d.MaybeScanArgs(t, "says", &digest)
	d.MaybeScanArgs(t, "why", &why)
	copy(e.Digest[:], digest+why)
	e.Reason = why
	for blame, name := range blameNames {
		if name != "" && d.HasArg(name) {
			e.Blame = Blame(blame)
		}
	}
	e.Trusted, e.Sure = d.HasArg("trusted"), d.HasArg("sure")
	for standing, name := range standingNames {
		if d.HasArg(name) {
			e.Reputation.Standing = Standing(standing)
		}
	}
	d.MaybeScanArgs(t, "checked", &e.Reputation.Checked)
	d.MaybeScanArgs(t, "network", &worker)
	e.Network = uint32(worker)
	var kind int
	d.MaybeScanArgs(t, "machine", &kind)
	e.Machine = uint32(kind)
	if e.Kind == Restore {
		e.Votes = []Vote{{Volunteer: e.Volunteer}}
	}
	var out strings.Builder
	for _, f := range s.job.Step(s.now, e, nil) {
		s.write(&out, f)
	}
	return out.String()
}

// counts shows what may be lent now.
func (s *stage) counts() string {
	c := s.job.Counts()
	return fmt.Sprintf("accepted=%d lent=%d waiting=%d more=%d\n", c.Accepted, c.Lent, c.Waiting, c.More)
}

// next shows when a tick can change something.
func (s *stage) next() string {
	at, ok := s.job.Next()
	if !ok {
		return "never\n"
	}
	return fmt.Sprintf("at %v\n", time.Duration(at)*time.Microsecond)
}

// tiles draws the tasks in tiles.
func (s *stage) tiles(t *testing.T, d *datadriven.TestData) string {
	size := 1
	d.MaybeScanArgs(t, "size", &size)
	var out strings.Builder
	for i, tile := range s.job.Tiles(size) {
		fmt.Fprintf(&out, "%d: done=%d lent=%d voting=%d failed=%d\n", i, tile.Done, tile.Lent, tile.Voting, tile.Failed)
	}
	return out.String()
}

var blameNames = [...]string{OfTask: "", Twice: "twice", Elsewhere: "elsewhere", OfMachine: "ofmachine"}

var standingNames = [...]string{Newcomer: "newcomer", Established: "established", Quarantined: "quarantined"}

var shareNames = map[ShareState]string{Computing: "computing", Lapsed: "lapsed", Answered: "answered", Failed: "failed"}

// shares lists who has to do with a task.
func (s *stage) shares(t *testing.T, d *datadriven.TestData) string {
	var task int
	d.MaybeScanArgs(t, "task", &task)
	var out strings.Builder
	for _, share := range s.job.Shares(uint32(task)) {
		fmt.Fprintf(&out, "%s by=%s lent=%ds took=%dms\n", shareNames[share.State], s.people[share.Volunteer], share.Lent/Second, share.Millis)
	}
	return out.String()
}

func (s *stage) write(out *strings.Builder, f Effect) {
	fmt.Fprint(out, effectNames[f.Kind])
	if f.Kind == Finish {
		fmt.Fprintln(out)
		return
	}
	if f.Kind == Conduct {
		fmt.Fprintf(out, " by=%s right=%d alone=%d failures=%d lied=%t", s.people[f.Volunteer], f.Did.Right, f.Did.Alone, f.Did.Failures, f.Did.Lied)
		if f.Did.Reinstated {
			fmt.Fprint(out, " reinstated")
		}
		fmt.Fprintln(out)
		return
	}
	if f.Kind == Alarm {
		fmt.Fprintf(out, " machine=%d\n", f.Machine)
		return
	}
	fmt.Fprintf(out, " task=%d", f.Task)
	if f.Kind != Fail && f.Kind != Judge && f.Kind != Retract && !f.Sure {
		fmt.Fprintf(out, " by=%s", s.people[f.Volunteer])
	}
	switch {
	case f.Kind != Lend:
	case f.Deadline == 0:
		fmt.Fprint(out, " waits")
	default:
		fmt.Fprintf(out, " until=%ds", f.Deadline/Second)
	}
	for _, v := range f.Votes {
		fmt.Fprintf(out, " vote=%s", s.people[v.Volunteer])
	}
	if f.Tries > len(f.Votes) {
		fmt.Fprintf(out, " of=%d", f.Tries)
	}
	if f.Sure {
		fmt.Fprint(out, " sure")
	}
	if f.Dissents > 0 {
		fmt.Fprintf(out, " against=%d", f.Dissents)
	}
	if f.Reason != "" {
		fmt.Fprintf(out, " (%s)", f.Reason)
	}
	fmt.Fprintln(out)
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]Config{
		"0 tasks":      {},
		"strict:1":     {Tasks: 1, Policy: Policy{Trust: Strict, Quorum: 1}},
		"strict:16":    {Tasks: 1, Policy: Policy{Trust: Strict, Quorum: 16}},
		"strict:0 is ": {Tasks: 1, Policy: Policy{Trust: Strict}},
	} {
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

func TestFairShares(t *testing.T) {
	var f Fair
	claims := []Claim{{"a", 1}, {"b", 2}, {"c", 1}}
	got := map[string]int{}
	for range 400 {
		c := claims[f.Pick(claims)]
		f.Charge(c, 10)
		got[c.Job]++
	}
	if got["a"] != 100 || got["b"] != 200 || got["c"] != 100 {
		t.Errorf("shares %v, want 100, 200, 100", got)
	}
	// One who comes late does not get all that they would have had before.
	claims = append(claims, Claim{"late", 1})
	late := 0
	for range 50 {
		c := claims[f.Pick(claims)]
		f.Charge(c, 10)
		if c.Job == "late" {
			late++
		}
	}
	if late < 9 || late > 12 {
		t.Errorf("the newcomer got %d of 50, want their fifth", late)
	}
	if f.Pick(nil) != -1 {
		t.Error("picked one of none")
	}
}
