package program

import (
	"context"
	"errors"
	"testing"

	"potluck/contract"
	"potluck/sandbox"
)

// failing is a runner that fails in these ways, one after the other, and then no more.
type failing struct{ ways []sandbox.Kind }

func (f *failing) Run(context.Context, sandbox.Task) sandbox.Outcome {
	if len(f.ways) == 0 {
		return sandbox.Outcome{Output: []byte("done")}
	}
	kind := f.ways[0]
	f.ways = f.ways[1:]
	return sandbox.Outcome{Failure: &sandbox.Failure{Kind: kind, Message: "no"}}
}

// Only what a program does itself is its fault. One crash may be the machine's.
func TestFaults(t *testing.T) {
	p := &Program{Manifest: &contract.Manifest{Stages: []contract.Stage{contract.Reduce}}}
	for _, c := range []struct {
		ways      []sandbox.Kind
		ok, fault bool
	}{
		{nil, true, false},
		{[]sandbox.Kind{sandbox.Crash}, true, false},
		{[]sandbox.Kind{sandbox.Crash, sandbox.Crash}, false, true},
		{[]sandbox.Kind{sandbox.Machine}, false, false},
		{[]sandbox.Kind{sandbox.Load}, false, false},
		{[]sandbox.Kind{sandbox.Exit}, false, true},
		{[]sandbox.Kind{sandbox.Trap}, false, true},
		{[]sandbox.Kind{sandbox.Time}, false, true},
		{[]sandbox.Kind{sandbox.Output}, false, true},
	} {
		_, err := p.Reduce(t.Context(), &failing{c.ways}, [][]byte{{1}, {2}})
		if ok, fault := err == nil, IsFault(err); ok != c.ok || fault != c.fault {
			t.Errorf("%v: %v", c.ways, err)
		}
	}
	if IsFault(errors.New("open /data/scratch: too many open files")) {
		t.Error("the server's trouble is a program's fault")
	}
}
