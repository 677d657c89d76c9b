package ledger

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kept are the names in a data folder that make a grid; all else there can be
// made anew, or is not for an archive.
var kept = []string{"server-id", "ledger"}

// Backup writes an archive of a data folder that no server is using.
func Backup(dir string, w io.Writer) error {
	if _, err := os.Stat(filepath.Join(dir, "ledger")); err != nil {
		return fmt.Errorf("%s is not the data folder of a server with a store of its own: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return fmt.Errorf("%w: stop it first, or take a snapshot of its file system", err)
	}
	defer lock.Unlock() //nolint:errcheck // the end of the process does it too
	if err := whole(filepath.Join(dir, "ledger")); err != nil {
		return fmt.Errorf("nothing is backed up: %w", err)
	}
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	for _, name := range kept {
		if err := addTo(archive, dir, name); err != nil {
			return fmt.Errorf("back up %s: %w", name, err)
		}
	}
	return errors.Join(archive.Close(), packed.Close())
}

// whole says whether the buckets of a store are as they were written.
func whole(store string) error {
	dirs, err := bucketsOf(store)
	for _, dir := range dirs {
		s, failed := readBucket(dir)
		if failed == nil && s.Damage != "" {
			failed = fmt.Errorf("%s is damaged: %s", dir, s.Damage)
		}
		err = errors.Join(err, failed)
	}
	return err
}

// addTo adds a file or a folder to an archive.
func addTo(archive *tar.Writer, dir, name string) error {
	return filepath.WalkDir(filepath.Join(dir, name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		head := &tar.Header{Name: filepath.ToSlash(relative), Size: info.Size(), Mode: 0o600, ModTime: info.ModTime(), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(head); err != nil {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // in the data folder
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // only read
		_, err = io.Copy(archive, f)
		return err
	})
}

// Restore makes a data folder of an archive. The folder must have no store yet,
// and gets one only once all of it is there.
func Restore(dir string, r io.Reader) error {
	if _, err := os.Stat(filepath.Join(dir, "ledger")); err == nil {
		return fmt.Errorf("there is a grid in %s already: name another folder, or move %s out of the way first", dir, filepath.Join(dir, "ledger"))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	defer lock.Unlock() //nolint:errcheck // the end of the process does it too
	making, err := os.MkdirTemp(dir, "restoring-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(making) //nolint:errcheck // what is left of it
	if err := unpackTo(making, r); err != nil {
		return fmt.Errorf("the archive cannot be read to its end: %w", err)
	}
	if _, err := os.Stat(filepath.Join(making, "ledger")); err != nil {
		return errors.New("this is not an archive that potluck backup made: it has no store")
	}
	if err := whole(filepath.Join(making, "ledger")); err != nil {
		return err
	}
	for _, name := range kept { // the store last
		if err := os.Rename(filepath.Join(making, name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// unpackTo writes the files of an archive into a folder.
func unpackTo(dir string, r io.Reader) error {
	packed, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	archive := tar.NewReader(packed)
	for {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, packed) //nolint:gosec // its checksum is at the end; the archive is the caller's own
			return err
		}
		if err != nil {
			return err
		}
		top, _, _ := strings.Cut(head.Name, "/")
		if head.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(head.Name)) || !slices.Contains(kept, top) {
			return fmt.Errorf("%q is nothing that a backup has", head.Name)
		}
		if err := writeFile(filepath.Join(dir, filepath.FromSlash(head.Name)), archive); err != nil {
			return err
		}
	}
}

// writeFile writes a file so that it survives a power cut.
func writeFile(name string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}
