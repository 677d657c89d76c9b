package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/server/api"
	"potluck/server/schedule"
	"potluck/wire"
)

// workerOf connects a worker with credit for one lease and a kind of machine.
func (g *grid) workerOf(name, platform string) *worker {
	g.t.Helper()
	w := &worker{t: g.t, conn: g.dial()}
	w.send(wire.FromWorker{Credit: 1, Hello: &wire.Hello{
		Protocol: wire.Protocol, Name: name, Secret: secretOf(name), Slots: 1, Engine: "wazero", Platform: platform, Profiles: sandbox.Profiles,
	}})
	m := w.receive()
	if m.Welcome == nil {
		g.t.Fatalf("%s is not welcome: %+v", name, m.Refused)
	}
	w.id = m.Welcome.Volunteer
	return w
}

// Where several volunteers of one kind of machine differ from the referee, and
// none of that kind is right, nobody is blamed: all jobs of the module wait until
// an admin decides, those that come later too.
func TestDifferenceOfKinds(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	arms := []string{"Ada", "Bob", "Cyd"}
	g.establish(append(arms, "Dan")...)
	j := g.echoes("a\nb\nc\nd\n", "strict:2")
	errs := func(name string) {
		arm := g.workerOf(name, "linux/arm64")
		// The connection may be closed before this is acknowledged.
		arm.send(wire.FromWorker{Results: []wire.Result{{Lease: arm.leases(1)[0].ID, Output: []byte("of an arm\n")}}})
	}
	errs("Ada")
	g.workerOf("Dan", "linux/amd64").echo()
	g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done == 1 })
	errs("Bob") // and Cyd are asked about the same task
	errs("Cyd")
	held := g.await(j.ID, func(j api.Job) bool { return j.State == api.JobStatePaused })
	if !strings.Contains(held.Reason, "wazero linux/arm64") || !strings.Contains(held.Reason, held.Module) || held.Tasks.Done != 1 {
		t.Errorf("on hold with %d tasks done: %q", held.Tasks.Done, held.Reason)
	}
	for _, name := range arms {
		id := wire.VolunteerID(secretOf(name))
		g.until(name+" to be out of quarantine", func() bool {
			return get[api.Volunteer](g, "/api/v1/volunteers/"+id).Trust == api.VolunteerTrustEstablished
		})
	}
	later := g.echoes("e\n", "strict:2")
	g.await(later.ID, func(j api.Job) bool { return j.State == api.JobStatePaused && j.Reason == held.Reason })
	if status, _, body := g.request("POST", "/api/v1/jobs/"+later.ID+"/resume", nil); status != http.StatusOK {
		t.Fatalf("resume: %d, %s", status, body)
	}
	for _, id := range []string{j.ID, later.ID} {
		g.await(id, func(j api.Job) bool { return j.State == api.JobStateRunning })
	}
}

// An admin lifts a quarantine: the volunteer is a newcomer who may work again.
func TestPardon(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	id := wire.VolunteerID(secretOf("Eve"))
	path := fmt.Sprintf("/api/v1/volunteers/%s/pardon", id)
	g.refuses("POST", path, nil, http.StatusConflict, "not in quarantine")
	if err := g.ledger.Behaved(t.Context(), id, schedule.Did{Right: 500, At: time.Now().UnixMicro()}, ""); err != nil {
		t.Fatal(err)
	}
	if err := g.ledger.Behaved(t.Context(), id, schedule.Did{Lied: true, At: time.Now().UnixMicro()}, "a test says so"); err != nil {
		t.Fatal(err)
	}
	if status, _, body := g.request("POST", path, nil); status != http.StatusNoContent {
		t.Fatalf("pardon: %d, %s", status, body)
	}
	v := get[api.Volunteer](g, "/api/v1/volunteers/"+id)
	if past := g.ledger.Reputation(id).Past; v.Trust != api.VolunteerTrustNewcomer || v.Proven != 0 || v.Reason != "" || past != "a test says so" {
		t.Errorf("pardoned: %+v, once for %q", v, past)
	}
	j := g.echoes("a\n", "trusted")
	g.worker("Eve", 1).echo()
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Errorf("%s: %s", j.State, j.Reason)
	}
}
