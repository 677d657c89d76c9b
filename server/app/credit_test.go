package app

import (
	"testing"
	"time"

	"potluck/sandbox"
	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/server/schedule"
	"potluck/wire"
)

// standing finds a name on the leaderboard.
func (g *grid) standing(name string) (s api.Standing) {
	g.t.Helper()
	for _, s := range get[[]api.Standing](g, "/api/v1/leaderboard") {
		if s.Name == name {
			return s
		}
	}
	return s
}

// echoIn answers a task rightly and claims that it took so long.
func (w *worker) echoIn(took time.Duration) {
	w.t.Helper()
	l := w.leases(1)[0]
	if a := w.result(wire.Result{Lease: l.ID, Output: l.Input, Micros: took.Microseconds()}); a.Status != wire.Accepted {
		w.t.Errorf("answered with %+v", a)
	}
}

// What is computed for a job that runs is pending until the job is done. Nobody
// gets more than the time that a task was out, and who is caught has nothing.
func TestPendingThenValidated(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.echoes("one\ntwo\nthree\n", "")
	ada, eve := g.worker("Ada", 2), g.worker("Eve", 1)
	ada.echoIn(time.Millisecond)
	eve.echoIn(time.Hour)
	g.until("two tasks to be pending", func() bool {
		a, e := g.standing("Ada"), g.standing("Eve")
		return a.PendingTasks == 1 && e.PendingTasks == 1 && a.PendingSeconds == 0.001 && a.Tasks+e.Tasks == 0
	})
	ada.echoIn(time.Millisecond)
	g.until("the job's credit", func() bool {
		a, e := g.standing("Ada"), g.standing("Eve")
		return a.Tasks == 2 && e.Tasks == 1 && a.Seconds == 0.002 && e.Seconds < 60 && a.PendingTasks+e.PendingTasks == 0
	})
	if err := g.ledger.Behaved(t.Context(), eve.id, schedule.Did{Lied: true, At: time.Now().UnixMicro()}, "a test says so"); err != nil {
		t.Fatal(err)
	}
	if board := get[[]api.Standing](g, "/api/v1/leaderboard"); len(board) != 1 || board[0].Name != "Ada" {
		t.Errorf("with somebody in quarantine: %+v", board)
	}
}

// Accepted tasks are credited by what they took, also in a job that fails or is
// cancelled; in one that is set running again they are pending once more.
func TestCreditWhateverBecomesOfTheJob(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	failing := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Exit(3, "")), Input: api.Input{Text: "a\nb\n"}})
	ada := g.worker("Ada", 1)
	ada.leases(1)
	since := time.Now() // it is out since before this
	g.until("it to be out for long enough", func() bool { return time.Since(since) > 50*time.Millisecond })
	ada.echoIn(40 * time.Millisecond)
	ada.send(wire.FromWorker{Credit: 2})
	ada.fail()
	if j := g.ended(failing.ID); j.State != api.JobStateFailed {
		t.Fatalf("%+v", j)
	}
	g.until("the credit for a failed job", func() bool {
		s := g.standing("Ada")
		return s.Tasks == 1 && s.Seconds == 0.04 && s.PendingTasks == 0
	})
	post[api.Job](g, "/api/v1/jobs/"+failing.ID+"/retry", []byte{})
	g.until("it to be pending", func() bool { s := g.standing("Ada"); return s.Tasks == 0 && s.PendingTasks == 1 })
	post[api.Job](g, "/api/v1/jobs/"+failing.ID+"/cancel", []byte{})
	g.until("the credit for a cancelled job", func() bool { s := g.standing("Ada"); return s.Tasks == 1 && s.PendingTasks == 0 })
}

// What the members of a team have done is added up, as long as they are in it.
func TestTeams(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	j := g.echoes("one\ntwo\nthree\n", "")
	for name, team := range map[string]string{"Ada": " Engines ", "Charles": "Engines", "Grace": ""} {
		w := &worker{t: t, conn: g.dial()}
		w.send(wire.FromWorker{Credit: 1, Hello: &wire.Hello{Protocol: wire.Protocol, Name: name, Team: team, Secret: secretOf(name), Slots: 1, Profiles: sandbox.Profiles}})
		w.echoIn(time.Millisecond)
	}
	g.ended(j.ID)
	teams := func() []api.Standing { return get[[]api.Standing](g, "/api/v1/leaderboard?by=team") }
	g.until("the team's credit", func() bool {
		all := teams()
		return len(all) == 1 && all[0].Team == "Engines" && all[0].Members == 2 && all[0].Tasks == 2 && all[0].Seconds == 0.002 && all[0].Volunteer == ""
	})
	if s := g.standing("Ada"); s.Team != "Engines" || s.Tasks != 1 {
		t.Errorf("one of the team: %+v", s)
	}
	g.worker("Charles", 0) // without a team
	if all := teams(); len(all) != 1 || all[0].Members != 1 || all[0].Tasks != 1 {
		t.Errorf("when one has left: %+v", all)
	}
	if status, _, _ := g.request("GET", "/api/v1/leaderboard?by=luck", nil); status != 422 && status != 400 {
		t.Errorf("by luck: %d", status)
	}
}

// A volunteer can ask what the grid thinks of them.
func TestVolunteer(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	ada := g.worker("Ada", 2)
	about := func() api.Volunteer { return get[api.Volunteer](g, "/api/v1/volunteers/"+ada.id) }
	if v := about(); v.Trust != api.VolunteerTrustNewcomer || v.Name != "" || v.Proven != 0 || v.Probation != schedule.Probation || v.Tasks+v.PendingTasks != 0 {
		t.Errorf("at first: %+v", v)
	}
	j := g.echoes("one\ntwo\n", "")
	ada.echoIn(time.Millisecond)
	g.until("a task to be pending", func() bool { v := about(); return v.PendingTasks == 1 && v.PendingSeconds == 0.001 })
	ada.echoIn(time.Millisecond)
	g.ended(j.ID)
	g.until("the credit", func() bool {
		v := about()
		return v.Tasks == 2 && v.Seconds == 0.002 && v.PendingTasks == 0 && v.Name == "Ada"
	})
	behave := func(did schedule.Did) {
		if err := g.ledger.Behaved(t.Context(), ada.id, did, "a test says so"); err != nil {
			t.Fatal(err)
		}
	}
	behave(schedule.Did{Right: 2})
	if v := about(); v.Trust != api.VolunteerTrustNewcomer || v.Proven != 2 {
		t.Errorf("after two answers: %+v", v)
	}
	behave(schedule.Did{Right: 3, Alone: 20})
	if v := about(); v.Trust != api.VolunteerTrustEstablished || v.Answered != 22 || v.Checked != 2 {
		t.Errorf("established: %+v", v)
	}
	behave(schedule.Did{Lied: true, At: time.Now().UnixMicro()})
	if v := about(); v.Trust != api.VolunteerTrustQuarantined || v.Reason != "a test says so" || v.Tasks != 0 {
		t.Errorf("caught: %+v", v)
	}
	for _, id := range []string{"me", "ADA", "0123456789ABCDEF", ada.id + "00"} {
		if status, _, _ := g.request("GET", "/api/v1/volunteers/"+id, nil); status != 404 {
			t.Errorf("%s: %d", id, status)
		}
	}
}
