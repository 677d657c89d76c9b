package ledger

import (
	"sync"
	"testing"
	"time"

	"potluck/server/schedule"
)

// What two servers hear of a volunteer at once is added up; both know, and hear
// of it when the other puts them in quarantine. It survives a restart.
func TestReputations(t *testing.T) {
	url := external(t)
	a, b := open1(t, Config{URL: url}), open1(t, Config{URL: url})
	ctx := t.Context()
	var wait sync.WaitGroup
	for range 20 {
		for _, l := range []*Ledger{a, b} {
			wait.Go(func() {
				if err := l.Behaved(ctx, "ada", schedule.Did{Right: 1, At: 1}, ""); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	heard := make(chan Reputation, 100)
	b.WatchReputations(func(volunteer string, r Reputation) {
		if volunteer == "ada" && r.Standing == schedule.Quarantined {
			heard <- r
		}
	})
	now := time.Now()
	if err := a.Behaved(ctx, "ada", schedule.Did{Lied: true, At: now.UnixMicro()}, "a result was wrong"); err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-heard:
		if r.Proven != schedule.Probation || r.Checked != 40-schedule.Probation || r.Reason != "a result was wrong" {
			t.Errorf("the other server heard %+v", r)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the other server did not hear")
	}
	c := open1(t, Config{URL: url})
	if err := c.Behaved(ctx, "bob", schedule.Did{Right: schedule.Probation}, ""); err != nil {
		t.Fatal(err)
	}
	if r := c.Reputation("ada"); r.Standing != schedule.Quarantined {
		t.Errorf("a server that came later knows %+v", r)
	}
	for at, want := range map[time.Time]int{now: 1, now.Add(60 * 24 * time.Hour): 0} {
		if established, seniors, caught := c.Established(at); established != 1 || seniors != 0 || caught != want {
			t.Errorf("%d are established, %d were caught lately instead of %d", established, caught, want)
		}
	}
	if r := c.Reputation("a stranger"); r != (Reputation{}) {
		t.Errorf("a stranger's reputation is %+v", r)
	}
}
