package assemble

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// A spool keeps byte strings by number in a file without a name: a cache of
// what the ledger holds, so that parts need no memory. It costs 16 bytes of
// memory a number.
type spool struct {
	mu     sync.Mutex
	file   *os.File
	end    int64
	places []place
}

// A place is where a string is in the file. Its offset is one too high, so
// that the zero place means "not there".
type place struct {
	offset1 uint64
	size    uint32
}

func newSpool(dir string, n int) (*spool, error) {
	f, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return nil, fmt.Errorf("make room for results: %w", err)
	}
	// Without a name the file cannot outlive its process. Where the system
	// refuses to remove an open file, close does it.
	_ = os.Remove(f.Name())
	return &spool{file: f, places: make([]place, n)}, nil
}

func (s *spool) put(i int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.WriteAt(data, s.end); err != nil {
		return fmt.Errorf("keep a result: %w", err)
	}
	s.places[i] = place{uint64(s.end) + 1, uint32(len(data))}
	s.end += int64(len(data))
	return nil
}

func (s *spool) has(i int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places[i].offset1 > 0
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

func (s *spool) close() {
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}
