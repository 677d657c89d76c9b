// Package scratch keeps bytes for a while: in memory while they are few, and
// in a file without a name when they are more. Making a file can wait for the
// disk, and most jobs are too small to be worth one.
package scratch

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// inMemory is how many bytes are kept in memory.
const inMemory = 32 << 10

// A File is bytes that are appended and can be read again anywhere. Its methods
// may be called from any goroutine.
type File struct {
	dir  string
	mu   sync.Mutex
	head []byte // all there is, while there is no file
	file *os.File
	size int64
}

// New makes an empty file in a folder, the system's if that is "".
func New(dir string) *File { return &File{dir: dir} }

// Write appends.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil && f.size+int64(len(p)) <= inMemory {
		f.head = append(f.head, p...)
		f.size += int64(len(p))
		return len(p), nil
	}
	if f.file == nil {
		if err := f.spill(); err != nil {
			return 0, fmt.Errorf("make a temporary file: %w", err)
		}
	}
	n, err := f.file.WriteAt(p, f.size)
	if err == nil {
		f.size += int64(n)
	}
	return n, err
}

func (f *File) spill() error {
	file, err := os.CreateTemp(f.dir, "scratch-")
	if err != nil {
		return err
	}
	// Without a name the file cannot outlive its process. Where the system
	// refuses to remove an open file, Close does it.
	_ = os.Remove(file.Name())
	if _, err := file.WriteAt(f.head, 0); err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.head = file, nil
	return nil
}

// ReadAt reads what was written (see io.ReaderAt).
func (f *File) ReadAt(p []byte, at int64) (int, error) {
	f.mu.Lock()
	head, file, size := f.head, f.file, f.size
	f.mu.Unlock()
	if file != nil {
		return file.ReadAt(p, at)
	}
	if at < 0 || at > size {
		return 0, io.EOF
	}
	n := copy(p, head[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Size is how many bytes were written.
func (f *File) Size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size
}

// Reader reads all that was written so far.
func (f *File) Reader() *io.SectionReader { return io.NewSectionReader(f, 0, f.Size()) }

// Close frees the bytes.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head = nil
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	_ = os.Remove(f.file.Name()) // see spill
	return err
}
