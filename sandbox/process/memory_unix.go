//go:build unix

package process

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// A reservation is the address space that an engine's programs have their
// linear memories in, one after the other. It comes straight from the system:
// page-aligned, it never moves, which makes kernels up to twice as fast and their
// times steady, and its pages cost nothing until they are touched. To reserve it
// anew for each program would take longer than a small program runs.
type reservation struct {
	all  []byte // empty but for zeros while nobody has it
	lent bool
}

// clearUpTo is how many bytes are cleared by hand, which keeps their pages for
// the next program. What is larger goes back to the system, page by page.
const clearUpTo = 1 << 20

// with makes wazero take linear memories from the reservation.
func (r *reservation) with(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(r.allocate))
}

// reserve makes sure that there is room for a program with a limit in bytes.
func (r *reservation) reserve(limit uint64) error {
	if limit <= uint64(len(r.all)) {
		return nil
	}
	r.release()
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return fmt.Errorf("reserve %d bytes of memory for a program: %w", limit, err)
	}
	r.all = all
	return nil
}

func (r *reservation) release() {
	if r.all != nil {
		_ = unix.Munmap(r.all) // it was mapped: that cannot fail
		r.all = nil
	}
}

// allocate gives out the reservation, or another one if it is in use.
func (r *reservation) allocate(_, limit uint64) experimental.LinearMemory {
	from := r
	if r.lent {
		from = &reservation{}
	}
	if err := from.reserve(limit); err != nil {
		panic(err) // wazero asks for no error; the engine has reserved what it needs before
	}
	from.lent = true
	return &linear{from: from, limit: limit, extra: from != r}
}

// linear is the linear memory of one program.
type linear struct {
	from  *reservation
	limit uint64
	used  uint64 // no byte from here on was written
	extra bool   // the reservation ends with it
}

func (l *linear) Reallocate(size uint64) []byte {
	if size > l.limit {
		return nil
	}
	l.used = max(l.used, size)
	return l.from.all[:size:l.limit]
}

// Free leaves nothing of the program for the next one to see.
func (l *linear) Free() {
	if l.extra {
		l.from.release()
	} else {
		l.from.wipe(l.used)
	}
	l.from.lent = false
}

// wipe makes the first bytes zero again.
func (r *reservation) wipe(used uint64) {
	if used <= clearUpTo {
		clear(r.all[:used])
	} else if !discard(r.all[:used]) {
		r.release() // the next one is mapped afresh
	}
}
