package shelf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"potluck/sandbox"
)

// A Cache is a folder of modules, in ModulesDir, and of the machine code that was
// made of them, in CodeDir. Anything in it may go at any time.
type Cache struct {
	Dir   string // none if ""
	Limit int64  // bytes that it may have for long
}

// DefaultLimit is what a cache may have, in bytes.
const DefaultLimit = 2 << 30

// ModulesDir is the folder for modules; "" if there is no cache.
func (c Cache) ModulesDir() string { return c.folder("modules") }

// CodeDir is the folder for machine code, a folder for each module; "" if there is
// no cache.
func (c Cache) CodeDir() string { return c.folder("code") }

func (c Cache) folder(name string) string {
	if c.Dir == "" {
		return ""
	}
	return filepath.Join(c.Dir, name)
}

// Remove removes a module and its machine code.
func (c Cache) Remove(id sandbox.ID) error {
	if c.Dir == "" {
		return nil
	}
	return errors.Join(os.RemoveAll(filepath.Join(c.ModulesDir(), string(id)+ending)), os.RemoveAll(filepath.Join(c.CodeDir(), string(id))))
}

// Trim removes the modules that were not used for longest, with their machine code,
// while the cache has more than its limit.
func (c Cache) Trim() error {
	if c.Dir == "" {
		return nil
	}
	all, err := c.entries()
	total := int64(0)
	for _, e := range all {
		total += e.bytes
	}
	slices.SortFunc(all, func(a, b *entry) int { return a.used.Compare(b.used) })
	for _, e := range all {
		if total <= c.Limit {
			break
		}
		err = errors.Join(err, c.Remove(e.id), os.RemoveAll(filepath.Join(c.ModulesDir(), string(e.id)))) // or what a write left that was cut off
		total -= e.bytes
	}
	return err
}

// An entry is what a cache has of a module.
type entry struct {
	id    sandbox.ID
	bytes int64
	used  time.Time // that something of it was written, or the module put on the shelf
}

func (c Cache) entries() (all []*entry, err error) {
	byID := map[string]*entry{}
	for _, dir := range []string{c.ModulesDir(), c.CodeDir()} {
		failed := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it has gone meanwhile
			}
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return nil //nolint:nilerr // likewise
			}
			rest, _ := filepath.Rel(dir, path) // it is below
			id, _, _ := strings.Cut(strings.TrimSuffix(filepath.ToSlash(rest), ending), "/")
			e := byID[id]
			if e == nil {
				e = &entry{id: sandbox.ID(id)}
				byID[id] = e
				all = append(all, e)
			}
			e.bytes += info.Size()
			if info.ModTime().After(e.used) {
				e.used = info.ModTime()
			}
			return nil
		})
		err = errors.Join(err, failed)
	}
	return all, err
}
