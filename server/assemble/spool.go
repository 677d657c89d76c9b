package assemble

import (
	"errors"
	"fmt"
	"sync"

	"potluck/server/scratch"
)

// A spool keeps byte strings by number: a cache of what the ledger holds, so
// that parts need no memory. It costs 16 bytes of memory a number.
type spool struct {
	file   *scratch.File
	mu     sync.Mutex
	places []place
}

// A place is where a string is in the file. Its offset is one too high, so
// that the zero place means "not there".
type place struct {
	offset1 uint64
	size    uint32
}

func newSpool(dir string, n int) *spool {
	return &spool{file: scratch.New(dir), places: make([]place, n)}
}

func (s *spool) put(i int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.file.Size()
	if _, err := s.file.Write(data); err != nil {
		return fmt.Errorf("keep a result: %w", err)
	}
	s.places[i] = place{uint64(at) + 1, uint32(len(data))}
	return nil
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
}

var errAbsent = errors.New("not there yet")

func (s *spool) get(i int) ([]byte, error) {
	s.mu.Lock()
	p := s.places[i]
	s.mu.Unlock()
	if p.offset1 == 0 {
		return nil, errAbsent
	}
	data := make([]byte, p.size)
	if _, err := s.file.ReadAt(data, int64(p.offset1)-1); err != nil {
		return nil, fmt.Errorf("read a result again: %w", err)
	}
	return data, nil
}

func (s *spool) close() { _ = s.file.Close() } // nothing of it is needed
