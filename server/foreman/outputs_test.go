package foreman

import (
	"testing"

	"potluck/server/schedule"
)

// What outputs count to whom comes to nothing when all leases have ended, in
// whichever order things happen.
func TestOutputsAreCounted(t *testing.T) {
	o := newOutputs()
	const most = 10
	put := func(task uint32, v schedule.Volunteer, hash byte, stranger, want bool) (gone []sum) {
		t.Helper()
		gone, ok := o.put(holder{task, v}, sum{hash}, most, stranger, most)
		if ok != want {
			t.Errorf("output %d of %d: %v", hash, v, ok)
		}
		return gone
	}
	for i := range byte(eachOutputs) {
		put(uint32(i), 1, i+1, true, true)
		put(uint32(i), 2, i+101, true, true)
	}
	put(99, 1, 99, true, false) // they have theirs
	put(99, 3, 99, true, false) // strangers have theirs
	put(99, 3, 1, true, true)   // that is there already
	put(99, 4, 99, false, true) // who is no stranger has room
	put(99, 1, 99, true, true)  // that is there now
	if gone := put(99, 1, 1, true, true); len(gone) > 0 {
		t.Errorf("4 has it still, and it goes: %v", gone)
	}
	if gone := put(99, 4, 2, false, true); len(gone) != 1 || gone[0] != (sum{99}) {
		t.Errorf("nobody has 99: %v", gone)
	}
	o.keep(sum{1})
	put(98, 3, 98, true, true) // what was accepted does not count any more
	for h := range o.of {
		for _, hash := range o.release(h) {
			if o.kept[hash] {
				t.Errorf("what was accepted goes: %v", hash)
			}
		}
	}
	put(99, 1, 97, true, true) // once more, in the turn that it has
	o.release(holder{99, 1})
	if len(o.turns) != len(o.of) || len(o.all) > 0 || len(o.has) > 0 || o.strangers != 0 {
		t.Errorf("%+v", o)
	}
}
