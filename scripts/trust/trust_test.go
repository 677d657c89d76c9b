package main

import (
	"testing"
	"time"

	"potluck/server/schedule"
)

// What make trust shows for a thousand volunteers holds for fewer too: bounds
// for the results computed for a task, and for the share of wrong ones.
func TestFigures(t *testing.T) {
	adaptive := schedule.Policy{Trust: schedule.Adaptive}
	strict := schedule.Policy{Trust: schedule.Strict, Quorum: 2}
	for _, c := range []struct {
		attack
		policy         schedule.Policy
		results, wrong float64
	}{
		{attack{}, adaptive, 1.12, 0},
		{attack{share: 0.1, rarely: true}, adaptive, 1.35, 0.0001},
		{attack{share: 0.1}, adaptive, 1.35, 0},
		{attack{share: 0.3}, adaptive, 1.35, 0},
		{attack{share: 0.3, atOnce: true}, adaptive, 1.35, 0},
		{attack{share: 0.1, rarely: true}, strict, 2.15, 0},
		{attack{share: 0.3, rarely: true}, strict, 2.15, 0},
		{attack{share: 0.3}, strict, 2.15, 0},
	} {
		c.volunteers, c.tasks = 300, 300*200
		s := measure(defence{play: ours(c.policy)}, c.attack, 2)
		t.Logf("%s, %v: %.3f results a task, %.5f %% wrong", c.attack, c.policy, s.perTask(), 100*s.wrongShare())
		if s.perTask() > c.results || s.wrongShare() > c.wrong {
			t.Errorf("%s, %v: %.3f results a task, %.5f %% wrong; at most %.2f and %.2f %%", c.attack, c.policy, s.perTask(), 100*s.wrongShare(), c.results, 100*c.wrong)
		}
	}
}

// A crowd on an empty grid has no wrong result accepted and no job failed, whatever
// it does, and ten honest volunteers of a new grid are established within a minute.
func TestCrowds(t *testing.T) {
	for _, c := range crowds(1000, 20, 200) {
		for _, d := range weighing {
			t.Run(c.name+", "+d.name, func(t *testing.T) {
				c.policy = d.Policy
				for seed := range uint64(3) {
					s := withstand(c.crowd, seed+1)
					if s.failed || s.unfinished || s.wrong > 0 {
						t.Errorf("seed %d: %+v", seed+1, s)
					}
					if c.identities == 0 && (s.tenth == 0 || s.tenth > 60*schedule.Second) {
						t.Errorf("seed %d: ten are established after %d s", seed+1, s.tenth/schedule.Second)
					}
				}
			})
		}
	}
}

// The models of what others do show the losses that are known of them: a fixed
// quorum of two among a tenth of liars who agree, always, computes 2.18 results
// for a task, and nearly three in a hundred are wrong.
func TestModels(t *testing.T) {
	a := attack{volunteers: 1000, tasks: 100_000, share: 0.1}
	fixed := measure(defence{play: func(a attack, seed uint64) outcome { return playOthers(a, false, seed) }}, a, 2)
	if r, w := fixed.perTask(), fixed.wrongShare(); r < 2.16 || r > 2.20 || w < 0.024 || w > 0.031 {
		t.Errorf("a fixed quorum: %.3f results a task, %.2f %% wrong", r, 100*w)
	}
	a.rarely = true
	theirs := measure(defence{play: func(a attack, seed uint64) outcome { return playOthers(a, true, seed) }}, a, 2)
	if r, w := theirs.perTask(), theirs.wrongShare(); r < 1.03 || r > 1.12 || w < 0.006 || w > 0.011 {
		t.Errorf("BOINC's adaptive replication: %.3f results a task, %.2f %% wrong", r, 100*w)
	}
}

// No accident of honest volunteers fails a job or expels anybody, and it delays
// the end by little; a kind of machine that errs raises the alarm instead.
func TestAccidents(t *testing.T) {
	for f := hoarding; f <= erring; f++ {
		for name, p := range map[string]schedule.Policy{"trusted": {}, "adaptive": {Trust: schedule.Adaptive}, "strict:2": {Trust: schedule.Strict, Quorum: 2}} {
			a := accident{fault: f, policy: p, volunteers: 40, tasks: 800, share: 0.1}
			if f == erring {
				a.share = 0.3
			}
			t.Run(faults[f]+", "+name, func(t *testing.T) {
				const seeds = 3
				got := suffer(a, seeds)
				t.Logf("%d jobs failed, %d alarms, %d expelled, %v later", got.failed, got.alarms, got.expelled, got.delay)
				least, most := 0, 0
				switch {
				case f != erring || name == "trusted":
				case name == "strict:2":
					least, most = seeds, seeds
				default: // of few answers that are compared none may be wrong
					most = seeds
				}
				if got.failed > 0 || got.expelled > 0 || got.alarms < least || got.alarms > most || got.delay > 10*time.Second {
					t.Errorf("want no failed job, %d to %d alarms, nobody expelled, and at most 10s later", least, most)
				}
			})
		}
	}
}
