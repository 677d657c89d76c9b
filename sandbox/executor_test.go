package sandbox

import (
	"testing"
	"testing/synctest"
	"time"
)

// silent is a child that never answers.
type silent struct {
	keepsTime bool
	outcomes  chan Outcome
}

func (s *silent) Send(Request)             {}
func (s *silent) Outcomes() <-chan Outcome { return s.outcomes }
func (s *silent) Kill()                    {}
func (s *silent) ExitReason() Failure      { return Failure{Crash, "it died"} }
func (s *silent) KeepsTime() bool          { return s.keepsTime }

// What the clock on the wall says is the task's fault only where there is no
// better clock.
func TestWhoseFaultIsAProgramThatDoesNotEnd(t *testing.T) {
	for name, c := range map[string]struct {
		keepsTime bool
		kind      Kind
		after     time.Duration
	}{
		"a child without a clock of its own": {false, Time, time.Minute},
		"a child that keeps time":            {true, Machine, 10*time.Minute + 30*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := NewExecutor(func() Child { return &silent{c.keepsTime, make(chan Outcome)} })
				defer x.Close()
				began := time.Now()
				o := x.Run(t.Context(), Task{Time: time.Minute})
				if o.Failure == nil || o.Failure.Kind != c.kind || time.Since(began) != c.after {
					t.Errorf("%v after %v", o.Failure, time.Since(began))
				}
			})
		})
	}
}

// A module that takes for ever to compile is not ready, and no task failed by it.
func TestEndlessCompiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := NewExecutor(func() Child { return &silent{true, make(chan Outcome)} })
		defer x.Close()
		if f := x.Load(Module{}).Failure; f == nil || f.Kind != Load {
			t.Errorf("%v", f)
		}
	})
}

// A child ends with a program that has had its time: what was queued behind it
// is another's.
func TestTasksBehindARunaway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var children []*silent
		x := NewExecutor(func() Child {
			children = append(children, &silent{true, make(chan Outcome, 2)})
			return children[len(children)-1]
		})
		got := make(chan Outcome, 2)
		for range 2 {
			x.Submit(Task{}, func(o Outcome) { got <- o })
		}
		synctest.Wait()
		first := children[0]
		first.outcomes <- Outcome{Failure: &Failure{Time, ""}}
		close(first.outcomes)
		if o := <-got; o.Failure == nil || o.Failure.Kind != Time {
			t.Errorf("the runaway: %v", o.Failure)
		}
		synctest.Wait()
		children[1].outcomes <- Outcome{}
		if o := <-got; o.Failure != nil {
			t.Errorf("the task behind it: %v", o.Failure)
		}
		x.Close()
	})
}

// A crash in a pool says nothing yet: another child may not have it.
func TestPoolRunsWhatCrashesOnceMore(t *testing.T) {
	for _, crashes := range []int{0, 1, 2} {
		children := 0
		p := NewPool(1, func() Child {
			c := &silent{true, make(chan Outcome, 2)}
			if children++; children <= crashes {
				close(c.outcomes)
			} else {
				c.outcomes <- Outcome{}
			}
			return c
		})
		defer p.Close()
		p.ready[""] = &compiled{done: closedChannel()}
		o := p.Run(t.Context(), Task{})
		if failed := o.Failure != nil; failed != (crashes == 2) || children > 2 {
			t.Errorf("after %d crashes: %v, in %d children", crashes, o.Failure, children)
		}
	}
}

func closedChannel() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
