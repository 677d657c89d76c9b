package app

import (
	"encoding/json"
	"strings"
	"testing"

	"potluck/sandbox"
	"potluck/server/api"
	"potluck/wire"
)

// Work goes only to workers that have the profile of its module. The others hear
// why there is none for them.
func TestWorkerWithoutTheProfileGetsNoWork(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	job := post[api.Job](g, "/api/v1/jobs", json.RawMessage(square))
	if job.Profile != sandbox.Profile {
		t.Errorf("the job has profile %d", job.Profile)
	}
	old := &worker{t: t, conn: g.dial()}
	old.send(wire.FromWorker{Credit: 3, Hello: &wire.Hello{Protocol: wire.Protocol, Secret: secretOf("old"), Slots: 1}})
	for heard := false; !heard; {
		m := old.receive()
		if len(m.Batches) > 0 {
			t.Fatal("a worker of the first profile was lent a task of the second")
		}
		heard = m.Idle != nil && strings.Contains(m.Idle.Reason, "newer worker")
	}
	g.worker("new", 3).leases(3)
}
