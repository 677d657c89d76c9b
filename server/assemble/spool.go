package assemble

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync"

	"potluck/server/scratch"
)

// A spool keeps byte strings by number: a cache of what the ledger holds, so
// that parts need no memory. It costs 16 bytes of memory a number, and a bit.
type spool struct {
	file   *scratch.File
	mu     sync.Mutex
	places []place
	there  []uint64 // a bit a number
}

// A place is where a string is in the file. Its offset is one too high, so
// that the zero place means "not there".
type place struct {
	offset1 uint64
	size    uint32
}

func newSpool(dir string, n int) *spool {
	return &spool{file: scratch.New(dir), places: make([]place, n), there: make([]uint64, (n+63)/64)}
}

func (s *spool) put(i int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.file.Size()
	if _, err := s.file.Write(data); err != nil {
		return fmt.Errorf("keep a result: %w", err)
	}
	s.places[i] = place{uint64(at) + 1, uint32(len(data))}
	s.there[i/64] |= 1 << (i % 64)
	return nil
}

// next gives the first number from i on that is there, -1 if there is none: soon,
// also where there are millions that are not.
func (s *spool) next(i int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for word := i / 64; word < len(s.there); word++ {
		bits64 := s.there[word]
		if word == i/64 {
			bits64 &= math.MaxUint64 << (i % 64)
		}
		if bits64 != 0 {
			return word*64 + bits.TrailingZeros64(bits64)
		}
	}
	return -1
}

func (s *spool) has(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places[i].offset1 > 0
}

func (s *spool) drop(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places[i] = place{}
	s.there[i/64] &^= 1 << (i % 64)
}

var errAbsent = errors.New("not there yet")

func (s *spool) get(i int) ([]byte, error) { return s.head(i, math.MaxUint32) }

// head gives the first bytes of a string, at most n.
func (s *spool) head(i int, n uint32) ([]byte, error) {
	s.mu.Lock()
	p := s.places[i]
	s.mu.Unlock()
	if p.offset1 == 0 {
		return nil, errAbsent
	}
	data := make([]byte, min(p.size, n))
	if _, err := s.file.ReadAt(data, int64(p.offset1)-1); err != nil {
		return nil, fmt.Errorf("read a result again: %w", err)
	}
	return data, nil
}

func (s *spool) close() { _ = s.file.Close() } // nothing of it is needed
