// Package shelf keeps modules on disk, where executors find them. A disk may be
// full, read-only or damaged, and somebody may empty a cache at any time: a
// module is fetched again then, and kept in memory if there is no other place.
package shelf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"potluck/sandbox"
)

// A Fetch gets the bytes of a module from where they never are lost.
type Fetch func(context.Context) ([]byte, error)

// A Notice hears of trouble that costs time and nothing else: what it is, and
// why.
type Notice func(what, why string)

// Once passes on the first notice of each kind.
func (n Notice) Once() Notice {
	var mu sync.Mutex
	said := map[string]bool{}
	return func(what, why string) {
		mu.Lock()
		defer mu.Unlock()
		if !said[what] {
			said[what] = true
			n(what, why)
		}
	}
}

// ending is that of a module's file.
const ending = ".wasm"

// A Shelf keeps modules.
type Shelf struct {
	dir    string
	notice Notice
	mu     sync.Mutex
	all    map[sandbox.ID]*module
}

// A module is one that executors may ask for.
type module struct {
	fetch Fetch
	bytes []byte    // if the disk does not take them
	used  time.Time // as its file says
}

// New makes a shelf in a folder, or in memory if dir is "".
func New(dir string, n Notice) *Shelf {
	return &Shelf{dir: dir, notice: n, all: map[sandbox.ID]*module{}}
}

// touchEach is how often a module in use is marked so on disk.
const touchEach = time.Hour

// Put makes a module ready for executors. Fetch is called if the module is not
// on disk, and later whenever what is there turns out to be damaged.
func (s *Shelf) Put(ctx context.Context, id sandbox.ID, fetch Fetch) (sandbox.Module, error) {
	s.mu.Lock()
	if s.all[id] == nil {
		s.all[id] = &module{}
	}
	s.all[id].fetch = fetch
	kept := s.all[id].bytes != nil
	old := time.Since(s.all[id].used) > touchEach
	if old {
		s.all[id].used = time.Now()
	}
	s.mu.Unlock()
	m := s.Module(id)
	if old && m.Path != "" {
		_ = os.Chtimes(m.Path, time.Time{}, time.Now()) // what is not used goes first
	}
	if info, err := os.Stat(m.Path); kept || err == nil && info.Size() > 0 {
		return m, nil
	}
	_, err := s.renew(ctx, id)
	return m, err
}

// Module gives a module that was put here. Whoever loads it checks its hash.
func (s *Shelf) Module(id sandbox.ID) sandbox.Module {
	m := sandbox.Module{ID: id, Source: func(ctx context.Context) ([]byte, error) { return s.source(ctx, id) }}
	if s.dir != "" {
		m.Path = filepath.Join(s.dir, string(id)+ending)
	}
	return m
}

// Forget drops a module from memory. Its file stays for the next time.
func (s *Shelf) Forget(id sandbox.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, id)
}

// source gives the bytes of a module whose file is no good.
func (s *Shelf) source(ctx context.Context, id sandbox.ID) ([]byte, error) {
	s.mu.Lock()
	m := s.all[id]
	var bytes []byte
	if m != nil {
		bytes = m.bytes
	}
	s.mu.Unlock()
	switch {
	case m == nil:
		return nil, fmt.Errorf("module %s is not kept here any more", id)
	case bytes != nil:
		return bytes, nil
	}
	if s.dir != "" {
		s.notice("a module was missing or damaged on disk, and is fetched again", s.Module(id).Path)
	}
	return s.renew(ctx, id)
}

// renew fetches a module and writes its file, or keeps it in memory.
func (s *Shelf) renew(ctx context.Context, id sandbox.ID) ([]byte, error) {
	s.mu.Lock()
	m := s.all[id]
	var fetch Fetch
	if m != nil {
		fetch = m.fetch
	}
	s.mu.Unlock()
	if m == nil {
		return nil, fmt.Errorf("module %s is not kept here any more", id)
	}
	data, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	if got := sandbox.Hash(data); got != id {
		return nil, fmt.Errorf("module %s is damaged where it came from: its bytes hash to %s", id, got)
	}
	if s.dir != "" {
		err = ReplaceFile(s.Module(id).Path, data)
	}
	if s.dir == "" || err != nil {
		s.mu.Lock()
		m.bytes = data
		s.mu.Unlock()
	}
	if err != nil {
		s.notice("modules cannot be kept on disk, and are kept in memory", err.Error())
	}
	return data, nil
}

// ReplaceFile replaces a file as a whole: another process may be reading it. It
// makes its folder if that has gone.
func ReplaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// Folder gives a folder for caches: the one that was chosen, else the user's,
// else a temporary one, else "": then everything is kept in memory. remove is to
// be called at the end.
func Folder(chosen string, n Notice) (dir string, remove func()) {
	dir, err := chosen, error(nil)
	if dir == "" {
		if dir, err = os.UserCacheDir(); err == nil {
			dir = filepath.Join(dir, "potluck")
		}
	}
	if err == nil {
		if err = writable(dir); err == nil {
			return dir, func() {}
		}
	}
	temporary, err2 := os.MkdirTemp("", "potluck-cache-")
	if err2 != nil {
		n("there is no folder for a cache: modules and machine code are kept in memory", errors.Join(err, err2).Error())
		return "", func() {}
	}
	n("the cache is in a temporary folder, which goes with this process", err.Error())
	return temporary, func() { _ = os.RemoveAll(temporary) } // it is left to the system's cleaning
}

func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "new-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
