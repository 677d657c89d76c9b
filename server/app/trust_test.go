package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"potluck/sandbox/wasmtest"
	"potluck/server/api"
	"potluck/server/schedule"
	"potluck/wire"
)

// establish makes volunteers established, whose answers are hardly checked any
// more, and the grid one that has others.
func (g *grid) establish(names ...string) {
	g.t.Helper()
	for _, name := range append(names, "founder 1", "founder 2", "founder 3", "founder 4", "founder 5", "founder 6", "founder 7", "founder 8", "founder 9") {
		did := schedule.Did{Right: schedule.Probation + 500, At: time.Now().UnixMicro()}
		if err := g.ledger.Behaved(g.t.Context(), wire.VolunteerID(secretOf(name)), did, ""); err != nil {
			g.t.Fatal(err)
		}
	}
}

// counted says whether a volunteer's answer stands among a job's results.
func (g *grid) counted(id, name string) bool {
	g.t.Helper()
	return slices.ContainsFunc(get[api.TaskPage](g, "/api/v1/jobs/"+id+"/tasks").Tasks, func(task api.Task) bool {
		return slices.ContainsFunc(task.Volunteers, func(v api.Voter) bool { return v.Name == name })
	})
}

func (g *grid) result(id string) string {
	g.t.Helper()
	status, _, result := g.request("GET", "/api/v1/jobs/"+id+"/result", nil)
	if status != http.StatusOK {
		g.t.Fatalf("the result: %d, %s", status, result)
	}
	return string(result)
}

// An established volunteer who begins to lie is believed until a newcomer is
// tried with one of their tasks. Then all that rests on their word is computed
// again, also after a restart, and they are sent away for good.
func TestCamouflage(t *testing.T) {
	dir := t.TempDir()
	g := serve(t, dir, nil)
	g.establish("Eve", "Ada")
	j := g.echoes("a\nb\nc\nd\ne\nf\n", "adaptive")
	eve := g.worker("Eve", 3)
	for range 3 {
		if a := eve.answer("wrong\n"); a.Status != wire.Accepted && a.Status != wire.Pending {
			t.Fatalf("an established volunteer's answer: %+v", a)
		}
	}
	g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done > 0 })
	ned := g.worker("Ned", 1)
	if a := ned.echo(); a.Status != wire.Pending {
		t.Errorf("a newcomer's answer, against an established one's: %+v", a)
	}
	eve.sentAway()
	g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done > 0 && !g.counted(j.ID, "Eve") })
	_ = ned.conn.CloseNow()
	g.Close(t.Context())

	g = serve(t, dir, nil)
	g.refusesWorker("Eve", wire.CodeQuarantine)
	// The referee may have more than one done: Eve's answers may have been chosen
	// to be compared. What waits now is nobody's but Ada's.
	j = g.await(j.ID, func(j api.Job) bool { return j.Tasks.Done > 0 && j.Tasks.Voting == 0 })
	ada := g.worker("Ada", 5)
	for range j.Tasks.Waiting {
		ada.echo()
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone {
		t.Fatalf("%+v", j)
	}
	if result := g.result(j.ID); result != "a\nb\nc\nd\ne\nf\n" {
		t.Errorf("the result is %q", result)
	}
	if g.counted(j.ID, "Eve") {
		t.Error("a liar's word stands")
	}
}

// On a grid that has established volunteers a newcomer who is alone computes
// for real, and the server confirms what they say until they are established.
func TestNewcomerAlone(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("somebody else")
	j := g.echoes(strings.Repeat("x\n", 12), "adaptive")
	ned := g.worker("Ned", 1)
	for range 12 {
		ned.echo()
		ned.send(wire.FromWorker{Credit: uint64(ned.lent) + 1})
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone || g.result(j.ID) != strings.Repeat("x\n", 12) {
		t.Fatalf("%+v", j)
	}
	g.until("their reputation to be kept", func() bool {
		return g.ledger.Reputation(ned.id).Standing == schedule.Established
	})
}

// A worker whose tasks run out of time, again and again, hears why it gets less
// and then nothing.
func TestUnreliable(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("Ada")
	ada := wire.VolunteerID(secretOf("Ada"))
	for range 5 {
		if err := g.ledger.Behaved(t.Context(), ada, schedule.Did{Failures: 1, At: time.Now().UnixMicro()}, ""); err != nil {
			t.Fatal(err)
		}
	}
	g.echoes("a\n", "adaptive")
	w := g.worker("Ada", 1)
	for {
		m := w.receive()
		if m.Idle == nil {
			continue
		}
		if !strings.Contains(m.Idle.Reason, "failed here or ran out of time") {
			t.Errorf("why there is nothing: %q", m.Idle.Reason)
		}
		break
	}
	if len(w.held) > 0 {
		t.Error("they were lent a task")
	}
}

// Volunteers of one network have one vote on a task: it takes one of another.
func TestOneVotePerNetwork(t *testing.T) {
	g := servePublic(t, nil)
	g.establish("Ada", "Bob", "Cyd", "Dan", "Eve")
	j := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: "square", Params: []byte(`{"numbers":[1]}`), Policy: "strict:2"})
	g.from = "198.51.100.7"
	g.worker("Ada", 1).answer("1")
	g.from = "198.51.100.99"
	neighbour := g.worker("Bob", 1)
	for neighbour.receive().Idle == nil {
	}
	g.from = "2001:db8:1:2::3"
	if a := g.worker("Cyd", 1).answer("1"); a.Status != wire.Accepted || len(neighbour.held) > 0 {
		t.Errorf("from another network: %+v; the neighbour was lent %d tasks", a, len(neighbour.held))
	}
	g.ended(j.ID)
	j = post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: "square", Params: []byte(`{"numbers":[1]}`), Policy: "strict:2"}, with(g.admin)...)
	g.worker("Dan", 1).answer("1")
	g.from = "2001:db8:1:ffff::9" // of the same 48 bits
	for neighbour = g.worker("Eve", 1); neighbour.receive().Idle == nil; {
	}
	if len(neighbour.held) > 0 {
		t.Error("a neighbour by IPv6 was lent the same task")
	}
}

// What the referee computes may be too large for a message, as a volunteer's
// output may.
func TestLargeVerdict(t *testing.T) {
	g := serve(t, t.TempDir(), nil)
	g.establish("Mal", "Eve")
	line := strings.Repeat("x", 1500<<10) + "\n"
	upload := post[api.Upload](g, "/api/v1/inputs", []byte(line), "Content-Type", "application/octet-stream").ID
	j := post[api.Job](g, "/api/v1/jobs", api.NewJob{Program: g.publish(wasmtest.Echo()), Input: api.Input{Upload: upload}, Policy: "strict:2"})
	for _, name := range []string{"Mal", "Eve"} { // each has a lie of their own
		if a := g.worker(name, 1).answer(name); a.Status != wire.Pending {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if j = g.ended(j.ID); j.State != api.JobStateDone || g.result(j.ID) != line {
		t.Errorf("%+v", j)
	}
	if task := get[api.TaskPage](g, "/api/v1/jobs/"+j.ID+"/tasks").Tasks[0]; !task.Refereed || len(task.Volunteers) != 0 || task.Bytes != len(line) {
		t.Errorf("%+v", task)
	}
}

// On an empty grid strangers who agree on lies do not establish one another: the
// server computes what the first of them say, and sends them away. Whoever tells
// the truth is believed after three answers.
func TestEmptyGridIsFoundedByTheServer(t *testing.T) {
	for _, policy := range []string{"adaptive", "strict:2"} {
		t.Run(policy, func(t *testing.T) {
			g := servePublic(t, nil)
			text := strings.Repeat("x\n", 40)
			echo := post[api.Module](g.grid, "/api/v1/modules", wasmtest.Echo(), with(g.admin, "Content-Type", "application/wasm")...).ID
			j := post[api.Job](g.grid, "/api/v1/jobs", api.NewJob{Program: echo, Input: api.Input{Text: text}, Policy: policy}, with(g.admin)...)
			g.from = "203.0.113.5" // all liars are of one network
			for i := range 6 {
				go g.worker(fmt.Sprint("liar ", i), 3).work(func(l wire.Lease) wire.Result { return wire.Result{Lease: l.ID, Output: []byte("lie\n")} })
			}
			g.from = "198.51.100.7" // and so are these, of another one
			honest := []*worker{g.worker("Ada", 3), g.worker("Bob", 3)}
			for _, w := range honest {
				go w.echoAll()
			}
			if j = g.ended(j.ID); j.State != api.JobStateDone {
				t.Fatalf("%s: %s", j.State, j.Reason)
			}
			status, _, result := g.request("GET", "/api/v1/jobs/"+j.ID+"/result", nil, with(g.admin)...)
			if status != http.StatusOK || string(result) != text {
				t.Errorf("the result: %d, %q", status, result)
			}
			for i := range 6 {
				if r := g.ledger.Reputation(wire.VolunteerID(secretOf(fmt.Sprint("liar ", i)))); r.Standing == schedule.Established {
					t.Errorf("liar %d is established: %+v", i, r)
				}
			}
		})
	}
}
