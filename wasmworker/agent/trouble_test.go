package agent

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/wire"
)

// What this machine is to blame for is no answer: the lease goes back, and the
// owner hears why. Once it can compute again it does.
func TestTroubleOfTheMachineGivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	(<-w.engine.started).fail("machine", "the disk is full")
	got := s.until(func(m wire.FromWorker) bool { return len(m.Returns) == 1 })
	if len(got.Results) > 0 {
		t.Errorf("%+v", got.Results)
	}
	credit := got.Credit
	s.until(func(m wire.FromWorker) bool { return m.Credit > credit }) // after a while it asks again
	s.lend("a")
	(<-w.engine.started).answer()
	got = s.until(results(1))
	s.ack(got.Results...)
	w.signal()
	s.farewell()
	if err := w.wait(); err != nil || w.totals.Failed != 0 || w.totals.Computed != 1 {
		t.Errorf("%v, %+v", err, w.totals)
	}
	if want := []string{"the disk is full"}; !slices.Equal(w.troubles, want) {
		t.Errorf("the owner hears %q instead of %q", w.troubles, want)
	}
}

// A crash is told to the grid, which knows of other machines. Until then this
// one computes other modules only.
func TestCrashKeepsAModuleAway(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	w := g.worker(nil)
	s := g.accept()
	s.lend("a")
	(<-w.engine.started).fail(kindCrash, "the executor died")
	got := s.until(results(1))
	if f := got.Results[0].Failure; f == nil || f.Kind != kindCrash {
		t.Errorf("%+v", got.Results)
	}
	s.ack(got.Results...)
	again := wire.Batch{Job: "job", Module: hashOf(program), Leases: []wire.Lease{{ID: []byte("again")}}}
	g.module = []byte("another program")
	other := wire.Batch{Job: "other", Module: hashOf(g.module), Leases: []wire.Lease{{ID: []byte("other"), Input: []byte("x")}}}
	s.send(wire.ToWorker{Batches: []wire.Batch{again, other}})
	(<-w.engine.started).answer()
	got = s.until(func(m wire.FromWorker) bool { return len(m.Results) == 2 && len(m.Returns) == 1 })
	if string(got.Returns[0]) != "again" || string(got.Results[1].Output) != "x" {
		t.Errorf("%+v", got)
	}
	s.ack(got.Results[1])
	w.signal()
	s.farewell()
	if err := w.wait(); err != nil || len(w.troubles) != 1 {
		t.Errorf("%v, %q", err, w.troubles)
	}
}

// idler is an agent that has no grid, and what its owner hears.
func idler() (a *Agent, heard *[]string) {
	heard = new([]string)
	return New(Config{Hello: wire.Hello{Slots: 1}, Log: slog.New(slog.DiscardHandler), Observe: func(e Event) {
		*heard = append(*heard, e.Reason)
	}}), heard
}

func fails(kind string) *wire.Failure { return &wire.Failure{Kind: kind, Message: "why"} }

// again has a module fail so often, each time after the trouble before is over.
func (a *Agent) failAgain(n int, hash, kind string) {
	for range n {
		a.troubled(hash, fails(kind))
		for _, t := range a.trouble {
			t.until = time.Now().Add(-time.Second)
		}
	}
}

// Each trouble in a row lasts twice as long; at last the machine stops asking,
// and its owner hears for how long.
func TestTroubleInARow(t *testing.T) {
	a, heard := idler()
	a.failAgain(troubleMost-1, "m", "machine")
	if wait := a.trouble[machine]; a.waits(time.Now()) || wait.times != troubleMost-1 {
		t.Errorf("before: %+v", wait)
	}
	for range 3 {
		a.troubled("m", fails("machine")) // the other two were under way
	}
	if left := time.Until(a.trouble[machine].until); !a.waits(time.Now()) || left < troubleLong/2 {
		t.Errorf("it asks again in %v", left)
	}
	last := (*heard)[len(*heard)-1]
	if len(*heard) != troubleMost || last != "this machine has stopped asking for work: why; it tries again in 10 minutes" {
		t.Errorf("%d times, at last %q", len(*heard), last)
	}
	if got := a.status().Trouble; got != last {
		t.Errorf("its state: %q", got)
	}
	a.recovered("m")
	if a.status().Trouble != "" || len(a.trouble) > 0 {
		t.Error("an output ends no trouble")
	}
}

// A module that crashes or does not compile is kept away by itself, however
// often it does, until another one has the same trouble.
func TestTroubleOfAModule(t *testing.T) {
	for _, kind := range []string{kindCrash, "module"} {
		a, heard := idler()
		a.failAgain(2*troubleMost, "m", kind)
		if a.waits(time.Now()) || a.trouble[machine] != nil {
			t.Errorf("%s: one module keeps the machine from all", kind)
		}
		if !strings.Contains((*heard)[0], "tasks of module m go back") {
			t.Errorf("%s: the owner hears %q", kind, (*heard)[0])
		}
		a.recovered("fine") // so it is the module
		a.troubled("n", fails(kind))
		if a.trouble[machine] != nil {
			t.Errorf("%s: a module counts though the machine is fine", kind)
		}
		a.troubled("o", fails(kind))
		if a.trouble[machine] == nil {
			t.Errorf("%s: the trouble of two modules is not the machine's", kind)
		}
	}
}

// What comes while all is declined goes back, and less and less is asked for.
func TestLulls(t *testing.T) {
	a, _ := idler()
	a.troubled("m", fails("module"))
	lease := &task{hash: "m"}
	var last time.Duration
	for i := range 6 {
		if !a.declines(lease) || a.declines(&task{hash: "n"}) {
			t.Fatal("it takes what it cannot compute, or nothing")
		}
		lull := time.Until(a.quiet)
		if !a.waits(time.Now()) || lull < last/2 || lull > lullMost {
			t.Errorf("lull %d lasts %v, after one of %v", i, lull, last)
		}
		last, a.quiet = lull, time.Now().Add(-time.Second)
	}
}
