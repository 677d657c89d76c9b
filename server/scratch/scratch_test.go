package scratch

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

// What is written in pieces reads back whole and at any place, in memory and
// in a file, and no file is left.
func TestFile(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, size := range []int{0, 1, inMemory, inMemory + 1, 5 * inMemory} {
		dir := t.TempDir()
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		f := New(dir)
		for rest := want; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		got, err := io.ReadAll(f.Reader())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
		if size > 0 {
			at := random.IntN(size)
			part := make([]byte, size-at)
			if _, err := f.ReadAt(part, int64(at)); err != nil || !bytes.Equal(part, want[at:]) {
				t.Errorf("%d bytes from %d: %v", size, at, err)
			}
		}
		if _, err := f.ReadAt(make([]byte, 1), int64(size)); !errors.Is(err, io.EOF) {
			t.Errorf("a read past the end of %d bytes: %v", size, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestNoFolder(t *testing.T) {
	f := New(t.TempDir() + "/missing")
	if _, err := f.Write(make([]byte, inMemory+1)); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}
