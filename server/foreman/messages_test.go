package foreman

import (
	"testing"

	"potluck/server/dispatch"
	"potluck/server/schedule"
	"potluck/wire"
)

// A failure is the task's, or may be the machine's; a tab cannot tell how long it
// has computed.
func TestBlame(t *testing.T) {
	runner, tab := dispatch.Person{Kind: "wazero linux/arm64"}, dispatch.Person{Kind: "browser"}
	for _, c := range []struct {
		kind string
		by   dispatch.Person
		want schedule.Blame
	}{
		{"exit", runner, schedule.OfTask},
		{"trap", tab, schedule.OfTask},
		{"output", tab, schedule.OfTask},
		{"time", runner, schedule.OfTask},
		{"time", tab, schedule.Elsewhere},
		{"time", dispatch.Person{}, schedule.OfTask},
		{"crash", runner, schedule.Twice},
		{"module", runner, schedule.OfMachine},
		{"machine", runner, schedule.OfMachine},
		{"what a stranger says", runner, schedule.Twice},
	} {
		t.Run(c.kind+" of "+c.by.Kind, func(t *testing.T) {
			if got := blame(&wire.Failure{Kind: c.kind}, c.by); got != c.want {
				t.Errorf("the fault is %d, want %d", got, c.want)
			}
		})
	}
}
