package schedule

import (
	"testing"

	"pgregory.net/rapid"
)

// A strangersConfig is a job that weighs what is said.
func strangersConfig(t *rapid.T) Config {
	return Config{
		Tasks: rapid.IntRange(1, 5).Draw(t, "tasks"), TimeLimit: 60 * Second,
		Policy:  rapid.SampledFrom([]Policy{{Trust: Adaptive}, {Strict, 2}, {Strict, 3}}).Draw(t, "policy"),
		Seniors: rapid.SampledFrom([]int{0, 20}).Draw(t, "seniors"), Referees: rapid.IntRange(0, 2).Draw(t, "referees"),
	}
}

// strangersDo is what strangers can bring about; each is of a network or of none.
var strangersDo = []EventKind{Want, Want, Want, Result, Result, Failure, Failure, Failure, Failure, Return, Gone, Tick, Tick, Gap}

func strangersEvent(c Config) *rapid.Generator[Event] {
	return rapid.Custom(func(t *rapid.T) Event {
		e := anyEvent(c.Tasks).Draw(t, "event")
		e.Kind = rapid.SampledFrom(strangersDo).Draw(t, "does")
		e.Volunteer = rapid.Uint32Range(0, 40).Draw(t, "stranger")
		e.Worker = e.Volunteer
		return e
	})
}

// No sequence of strangers' events ends a job as failed, or has a result accepted
// that the referee has not computed: however many they are, whatever they agree
// on, and also where the referee runs out of time and somebody is about who is
// believed.
func TestStrangersFailNoJob(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := strangersConfig(t)
		slow := rapid.Bool().Draw(t, "the referee is too slow")
		j, now := New(c), Time(0)
		judged := []uint32{}
		look := func(e Event) {
			for _, f := range j.Step(now, e, nil) {
				switch {
				case f.Kind == Fail:
					t.Fatalf("failed: %s", f.Reason)
				case f.Kind == Accept && !f.Sure:
					t.Fatalf("task %d was accepted on %v", f.Task, f.Votes)
				case f.Kind == Judge:
					judged = append(judged, f.Task)
				}
			}
		}
		met := Event{Kind: Know, Volunteer: 100, Reputation: Reputation{Standing: Established, Checked: 500}}
		look(met)
		look(Event{Kind: Want, Volunteer: 100, Worker: 100, N: 1})
		for _, e := range rapid.SliceOfN(strangersEvent(c), 0, 200).Draw(t, "events") {
			now += rapid.Int64Range(0, 40).Draw(t, "pause") * Second
			look(e)
			if slow || rapid.Bool().Draw(t, "somebody who is believed asks") {
				look(Event{Kind: Want, Volunteer: 100, Worker: 100, N: 1})
				look(Event{Kind: Gone, Worker: 100})
			}
			if len(judged) > 0 && rapid.Bool().Draw(t, "the referee is done") {
				v := Event{Kind: Verdict, Task: judged[0], Digest: Digest{9}}
				if slow {
					v.Kind, v.Blame, v.Digest = NoVerdict, Elsewhere, Digest{}
				}
				judged = judged[1:]
				look(v)
			}
		}
	})
}
