package assemble

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/server/program"
)

// A joiner is a program whose reduce puts parts in a row in brackets, so that
// what comes out says what was put together, and in which order.
type joiner struct {
	fail   string // stage that fails
	chokes string // part that no stage can read
}

func (r joiner) Run(_ context.Context, t sandbox.Task) sandbox.Outcome {
	if r.fail == t.Args[0] || r.chokes != "" && bytes.Contains(t.Input, []byte(r.chokes)) {
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Exit, Message: "no"}}
	}
	var out []byte
	for part, err := range contract.Records(t.Input) {
		if err != nil {
			return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Exit, Message: err.Error()}}
		}
		out = append(out, part...)
	}
	if t.Args[0] == string(contract.Render) {
		out = append(out, '!')
	}
	return sandbox.Outcome{Output: out}
}

func plan(tasks int, stages ...contract.Stage) Plan {
	return Plan{
		Tasks: tasks, Params: []byte("{}"),
		Program: program.Program{Manifest: &contract.Manifest{Stages: append(stages, contract.Map)}},
	}
}

func record(task int) Record {
	return Record{Task: task, Voters: []Voter{{ID: "v", Millis: 5}}, Lent: 1, Accepted: 2}
}

func part(task int) string { return fmt.Sprintf("<%d>", task) }

// write gives the artefact.
func write(t *testing.T, a *Assembly) string {
	t.Helper()
	var out bytes.Buffer
	if err := a.Write(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// In whatever order parts arrive, they are put together in the order of their
// tasks; at any moment what there is so far makes an artefact; a part that comes
// twice counts once.
func TestAnyOrder(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for _, stages := range [][]contract.Stage{nil, {contract.Reduce}, {contract.Render}, {contract.Reduce, contract.Render}} {
		for _, n := range []int{1, 2, 31, 32, 33, 64, 1000, 1025, 3000} {
			a := New(plan(n, stages...), joiner{}, t.TempDir())
			present := make([]bool, n)
			stop := r.IntN(n)
			check := func() {
				var want strings.Builder
				if a.plan.Program.Has(contract.Render) {
					want.WriteString("{}")
				}
				for i, there := range present {
					if there {
						want.WriteString(part(i))
					}
				}
				if a.plan.Program.Has(contract.Render) {
					want.WriteString("!")
				}
				if got := write(t, a); got != want.String() {
					t.Fatalf("seed %d, %v, %d tasks: %s", seed, stages, n, got)
				}
			}
			for i, task := range r.Perm(n) {
				for range 1 + r.IntN(2) {
					if err := a.Add(record(task), []byte(part(task))); err != nil {
						t.Fatal(err)
					}
				}
				present[task] = true
				if a.Count() != i+1 {
					t.Fatalf("seed %d: %d of %d parts", seed, a.Count(), i+1)
				}
				if i == stop {
					check()
				}
			}
			check()
			a.Close()
		}
	}
}

// Outputs that are not reduced are collected with who made them.
func TestCollect(t *testing.T) {
	outputs := []string{`{"a": 1}`, "text\n", "\xff\xfe", "", "12"}
	lines := []string{
		`{"task":0,"volunteers":[{"id":"v","ms":5}],"lent":1,"accepted":2,"bytes":8,"output":{"a":1}}`,
		`{"task":1,"volunteers":[{"id":"v","ms":5}],"lent":1,"accepted":2,"bytes":5,"output":"text\n"}`,
		`{"task":2,"volunteers":[{"id":"v","ms":5}],"lent":1,"accepted":2,"bytes":2,"base64":"//4="}`,
		`{"task":3,"volunteers":[{"id":"v","ms":5}],"lent":1,"accepted":2,"bytes":0,"output":""}`,
		`{"task":4,"volunteers":[{"id":"v","ms":5}],"lent":1,"accepted":2,"bytes":2,"output":12}`,
	}
	for collect, want := range map[contract.Collect]string{
		"": strings.Join(outputs, ""), contract.Concat: strings.Join(outputs, ""),
		contract.NDJSON: strings.Join(lines, "\n") + "\n", contract.JSON: "[\n" + strings.Join(lines, ",\n") + "\n]\n",
	} {
		p := plan(len(outputs))
		p.Collect = collect
		a := New(p, joiner{}, t.TempDir())
		for i, output := range outputs {
			r := record(i)
			r.Bytes = len(output)
			if err := a.Add(r, []byte(output)); err != nil {
				t.Fatal(err)
			}
		}
		got := write(t, a)
		if got != want {
			t.Errorf("%s:\n%s\ninstead of\n%s", collect, got, want)
		}
		if collect == contract.JSON && !json.Valid([]byte(got)) {
			t.Error("not JSON")
		}
		a.Close()
	}
}

// A stage that fails is an error that names it, and nothing waits for it.
func TestFailures(t *testing.T) {
	for _, stage := range []contract.Stage{contract.Reduce, contract.Render} {
		a := New(plan(100, contract.Reduce, contract.Render), joiner{fail: string(stage)}, t.TempDir())
		if err := a.Write(t.Context(), &bytes.Buffer{}); !errors.Is(err, ErrNothing) {
			t.Errorf("nothing yet: %v", err)
		}
		for i := range 100 {
			if err := a.Add(record(i), []byte(part(i))); err != nil {
				t.Fatal(err)
			}
		}
		var failed *sandbox.Failure
		if err := a.Write(t.Context(), &bytes.Buffer{}); !errors.As(err, &failed) || !strings.Contains(err.Error(), "the "+string(stage)+" stage failed: no") {
			t.Errorf("%s: %v", stage, err)
		}
		a.Close()
	}
}

// Each task's record and output are there to be read, also of a large job.
func TestRecords(t *testing.T) {
	a := New(plan(3), joiner{}, t.TempDir())
	defer a.Close()
	large := bytes.Repeat([]byte("x"), 1<<20)
	if err := a.Add(record(1), large); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := a.Record(0); ok || err != nil {
		t.Errorf("a record that is not there: %v", err)
	}
	if r, output, ok, err := a.Record(1); !ok || err != nil || r.Task != 1 || r.Voters[0].ID != "v" || !bytes.Equal(output, large) {
		t.Errorf("%+v, %v, %d bytes", r, err, len(output))
	}
}

// What is taken back is as if it had never been there, whatever was reduced
// meanwhile.
func TestTakenBack(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for _, n := range []int{1, 33, 1100} {
		a := New(plan(n, contract.Reduce), joiner{}, t.TempDir())
		var want strings.Builder
		for task := range n {
			want.WriteString(part(task))
			for range r.IntN(3) {
				if err := a.Add(record(task), []byte("wrong")); err != nil {
					t.Fatal(err)
				}
				a.Remove(task)
			}
			if err := a.Add(record(task), []byte(part(task))); err != nil {
				t.Fatal(err)
			}
			if task > 0 && r.IntN(4) == 0 { // one that was reduced already, perhaps
				old := r.IntN(task)
				a.Remove(old)
				if a.Count() != task {
					t.Fatalf("seed %d: %d parts instead of %d", seed, a.Count(), task)
				}
				if err := a.Add(record(old), []byte(part(old))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := write(t, a); got != want.String() {
			t.Fatalf("seed %d, %d tasks: %s", seed, n, got)
		}
		a.Close()
	}
}

// Another volunteer's opinion is added to a record, and changes no output.
func TestConfirm(t *testing.T) {
	a := New(plan(1), joiner{}, t.TempDir())
	defer a.Close()
	if err := a.Confirm(0, []Voter{{ID: "w"}}, true); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Add(record(0), []byte("x")), a.Confirm(0, []Voter{{ID: "w"}}, true)); err != nil {
		t.Fatal(err)
	}
	if r, output, ok, err := a.Record(0); !ok || err != nil || len(r.Voters) != 2 || r.Voters[1].ID != "w" || !r.Sure || string(output) != "x" {
		t.Errorf("%+v, %q, %v", r, output, err)
	}
}

// A lie that cannot even be reduced does no harm once it is taken back.
func TestUnreadableLie(t *testing.T) {
	a := New(plan(2, contract.Reduce), joiner{chokes: "lie"}, t.TempDir())
	defer a.Close()
	if err := errors.Join(a.Add(record(0), []byte("lie")), a.Add(record(1), []byte(part(1)))); err != nil {
		t.Fatal(err)
	}
	if err := a.Write(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("the lie was reduced")
	}
	a.Remove(0)
	if err := a.Add(record(0), []byte(part(0))); err != nil {
		t.Fatal(err)
	}
	if got := write(t, a); got != part(0)+part(1) {
		t.Errorf("afterwards: %s", got)
	}
}

// Nobody who was caught stands under a part any more, nor under one that comes
// later.
func TestDisown(t *testing.T) {
	a := New(plan(2), joiner{}, t.TempDir())
	defer a.Close()
	both := func(task int) Record {
		r := record(task)
		r.Voters = []Voter{{ID: "liar"}, {ID: "w"}}
		return r
	}
	err := a.Add(both(0), []byte("x"))
	a.Disown("liar")
	if err := errors.Join(err, a.Add(both(1), []byte("y"))); err != nil {
		t.Fatal(err)
	}
	for task := range 2 {
		if r, _, ok, err := a.Record(task); !ok || err != nil || len(r.Voters) != 1 || r.Voters[0].ID != "w" {
			t.Errorf("task %d: %+v, %v", task, r, err)
		}
	}
}

// ailing is a runner whose machine cannot run programs for a while.
type ailing struct {
	joiner
	well atomic.Bool
}

func (r *ailing) Run(ctx context.Context, t sandbox.Task) sandbox.Outcome {
	if !r.well.Load() {
		return sandbox.Outcome{Failure: &sandbox.Failure{Kind: sandbox.Machine, Message: "no executor"}}
	}
	return r.joiner.Run(ctx, t)
}

// What could not be reduced because the server was unwell is reduced when it is
// wanted again.
func TestServersTroubleIsNoFailure(t *testing.T) {
	r := &ailing{}
	const n = 1025
	a := New(plan(n, contract.Reduce, contract.Render), r, t.TempDir())
	defer a.Close()
	for i := range n {
		if err := a.Add(record(i), []byte(part(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Write(t.Context(), io.Discard); err == nil || program.IsFault(err) {
		t.Errorf("without executors: %v", err)
	}
	r.well.Store(true)
	well := New(plan(n, contract.Reduce, contract.Render), joiner{}, t.TempDir())
	defer well.Close()
	for i := range n {
		if err := well.Add(record(i), []byte(part(i))); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := write(t, a), write(t, well); got != want {
		t.Errorf("%.100s instead of %.100s", got, want)
	}
}

// What is skipped is in no part that reduce gets, however much of a job it is, and
// a line of its own says so where outputs have lines.
func TestSkippedPartsAreLeftOut(t *testing.T) {
	for _, lazy := range []bool{false, true} {
		for _, stages := range [][]contract.Stage{nil, {contract.Reduce}, {contract.Reduce, contract.Render}} {
			p := plan(1500, stages...)
			p.Lazy = lazy
			a := New(p, joiner{}, t.TempDir())
			var want strings.Builder
			if a.plan.Program.Has(contract.Render) {
				want.WriteString("{}")
			}
			for i := range 1500 {
				r, output := record(i), part(i)
				if i%7 == 0 || i > 100 && i < 1200 { // whole nodes of the tree, too
					r, output = Record{Task: i, Skipped: "it failed"}, ""
				}
				want.WriteString(output)
				if err := a.Add(r, []byte(output)); err != nil {
					t.Fatal(err)
				}
			}
			if a.plan.Program.Has(contract.Render) {
				want.WriteString("!")
			}
			if got := write(t, a); got != want.String() {
				t.Errorf("%v, lazy %v: %s", stages, lazy, got)
			}
			a.Close()
		}
	}
	p := plan(1)
	p.Collect = contract.NDJSON
	a := New(p, joiner{}, t.TempDir())
	defer a.Close()
	if err := a.Add(Record{Task: 0, Skipped: "it failed"}, nil); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := a.Write(t.Context(), &out); !errors.Is(err, ErrNothing) {
		t.Errorf("nothing but skipped tasks: %v, %s", err, &out)
	}
}
