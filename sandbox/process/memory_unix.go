//go:build unix

package process

import (
	"context"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// withMemory makes wazero take linear memories straight from the system. They
// are page-aligned and never move, which makes kernels up to twice as fast and
// their times steady; the pages cost nothing until they are touched.
func withMemory(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(mapMemory))
}

type mapped struct {
	all []byte // the whole reservation
}

func mapMemory(_, limit uint64) experimental.LinearMemory {
	if limit == 0 {
		return &mapped{}
	}
	all, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic("reserve memory for a program: " + err.Error()) // the executor dies, its task is tried elsewhere
	}
	return &mapped{all: all}
}

func (m *mapped) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	return m.all[:size:len(m.all)]
}

func (m *mapped) Free() {
	if m.all != nil {
		_ = unix.Munmap(m.all)
		m.all = nil
	}
}
