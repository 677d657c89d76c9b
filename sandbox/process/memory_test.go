//go:build unix

package process

import (
	"bytes"
	"testing"
)

// fill writes to all that a memory may have, and says whether it was empty.
func fill(t *testing.T, r *reservation, limit, size uint64) (empty bool, free func()) {
	t.Helper()
	m := r.allocate(0, limit)
	if m.Reallocate(limit+1) != nil {
		t.Errorf("a memory of %d bytes grows past its limit", limit)
	}
	all := m.Reallocate(size)
	if uint64(len(all)) != size {
		t.Fatalf("%d bytes instead of %d", len(all), size)
	}
	empty = len(bytes.Trim(all, "\x00")) == 0
	for i := range all {
		all[i] = 0xff
	}
	return empty, m.Free
}

// Whatever a memory had in it, the next one is empty, also one with more room.
func TestMemoryIsEmptyAfterAnother(t *testing.T) {
	var r reservation
	defer r.release()
	const kb, mb = 1 << 10, 1 << 20
	for i, m := range []struct{ limit, size uint64 }{
		{0, 0}, {mb, 64 * kb}, {mb, mb}, {64 * mb, 64 * kb}, {64 * mb, mb + 64*kb}, {4 * mb, 4 * mb}, {64 * mb, 64 * mb}, {64 * mb, 64 * mb}, {mb, 0}, {64 * mb, 2 * mb},
	} {
		empty, free := fill(t, &r, m.limit, m.size)
		if !empty {
			t.Errorf("memory %d, of %d bytes, has something of another in it", i, m.size)
		}
		free()
	}
}

// A memory that is alive is not given to another program.
func TestTwoMemoriesAtOnceAreApart(t *testing.T) {
	var r reservation
	defer r.release()
	_, free := fill(t, &r, 4<<20, 4<<20)
	for range 2 {
		empty, freeOther := fill(t, &r, 8<<20, 8<<20)
		if !empty {
			t.Error("two memories are the same")
		}
		freeOther()
	}
	free()
	if empty, free := fill(t, &r, 4<<20, 4<<20); !empty {
		t.Error("the memory that lived longest left something behind")
	} else {
		free()
	}
}
