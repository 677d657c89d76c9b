package shelf

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"potluck/sandbox"
)

var (
	data = []byte("a module")
	id   = sandbox.Hash(data)
)

// A source counts how often a module is fetched.
type source struct{ fetched int }

func (s *source) fetch(context.Context) ([]byte, error) { s.fetched++; return data, nil }

func noted(all *[]string) Notice { return func(what, _ string) { *all = append(*all, what) } }

// A module is fetched once, and again when an executor finds its file damaged;
// the file is whole then.
func TestDamagedFileHeals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "modules")
	var s source
	var said []string
	shelf := New(dir, noted(&said))
	m, err := shelf.Put(t.Context(), id, s.fetch)
	if err != nil || s.fetched != 1 {
		t.Fatal(err, s.fetched)
	}
	if _, err := New(dir, noted(&said)).Put(t.Context(), id, s.fetch); err != nil || s.fetched != 1 {
		t.Errorf("the file that was there is fetched again: %v", err)
	}
	for name, damage := range map[string]func() error{
		"truncated": func() error { return os.Truncate(m.Path, 3) },
		"gone":      func() error { return os.RemoveAll(dir) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		got, err := m.Source(t.Context())
		if on, err2 := os.ReadFile(m.Path); err != nil || err2 != nil || !bytes.Equal(got, data) || !bytes.Equal(on, data) {
			t.Errorf("%s: %q and %q, %v, %v", name, got, on, err, err2)
		}
	}
	if s.fetched != 3 || len(said) != 2 {
		t.Errorf("fetched %d times; said %q", s.fetched, said)
	}
}

// An empty file is what a full disk leaves: it is no module.
func TestEmptyFile(t *testing.T) {
	dir := t.TempDir()
	var s source
	if err := os.WriteFile(New(dir, nil).Module(id).Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, nil).Put(t.Context(), id, s.fetch); err != nil || s.fetched != 1 {
		t.Errorf("%v, fetched %d times", err, s.fetched)
	}
}

// Without a disk that takes it a module stays in memory until it is forgotten.
func TestModuleInMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", filepath.Join(file, "modules")} {
		var s source
		shelf := New(dir, Notice(func(string, string) {}).Once())
		m, err := shelf.Put(t.Context(), id, s.fetch)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := m.Source(t.Context()); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q, %v", got, err)
			}
		}
		if s.fetched != 1 {
			t.Errorf("in %q: fetched %d times", dir, s.fetched)
		}
		shelf.Forget(id)
		if got, err := m.Source(t.Context()); err == nil {
			t.Errorf("forgotten, and it gives %q", got)
		}
	}
}

// What comes from elsewhere is checked before it is kept.
func TestWrongBytesAreNotKept(t *testing.T) {
	dir := t.TempDir()
	shelf := New(dir, nil)
	_, err := shelf.Put(t.Context(), id, func(context.Context) ([]byte, error) { return []byte("another"), nil })
	if err == nil {
		t.Error("wrong bytes are kept")
	}
	dead := errors.New("the line is dead")
	if _, err := shelf.Put(t.Context(), id, func(context.Context) ([]byte, error) { return nil, dead }); !errors.Is(err, dead) {
		t.Errorf("%v", err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
		t.Errorf("in the folder: %v, %v", all, err)
	}
}

// A cache that cannot be where it should is in a temporary folder, else nowhere;
// that is said.
func TestFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	impossible := filepath.Join(file, "cache")
	var said []string
	chosen := filepath.Join(t.TempDir(), "chosen")
	if dir, _ := Folder(chosen, noted(&said)); dir != chosen || len(said) > 0 {
		t.Errorf("%s, %q", dir, said)
	}
	dir, remove := Folder(impossible, noted(&said))
	if writable(dir) != nil || len(said) != 1 {
		t.Errorf("%s, %q", dir, said)
	}
	remove()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary folder stays: %v", err)
	}
	t.Setenv("TMPDIR", impossible)
	t.Setenv("XDG_CACHE_HOME", impossible)
	if dir, _ := Folder("", noted(&said)); dir != "" || len(said) != 2 {
		t.Errorf("%s, %q", dir, said)
	}
}
