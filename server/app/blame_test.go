package app

import (
	"testing"

	"potluck/server/api"
	"potluck/wire"
)

// An executor that dies again and again on one machine does not fail a job: where
// nobody else is about, the server computes the task itself.
func TestCrashesOfOneMachine(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("one\ntwo\nthree\nfour\n", "trusted")
	ada := g.worker("Ada", 4)
	for range 4 {
		a := ada.result(wire.Result{Lease: ada.leases(1)[0].ID, Failure: &wire.Failure{Kind: "crash", Message: "the executor died"}})
		if a.Status != wire.Pending {
			t.Errorf("a crash is answered with %d: %s", a.Status, a.Reason)
		}
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone || j.Tasks.Done != 4 {
		t.Errorf("%s: %s", j.State, j.Reason)
	}
}
