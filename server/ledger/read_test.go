package ledger

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"potluck/sandbox"
)

// A blob reads back whole and from any place on: one in the record, one that is an
// object, one of many objects, and a large one that is a single object, as an
// older release stored it.
func TestBlobs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	l := open1(t, Config{})
	old := make([]byte, 2*pieceSize+5)
	for size, put := range map[int]func(string, []byte) Blob{
		0: l.putBlob(t), 1: l.putBlob(t), inlineLimit: l.putBlob(t), inlineLimit + 1: l.putBlob(t), 300_000: l.putBlob(t), pieceSize: l.putBlob(t),
		pieceSize + 1: l.putBlob(t), 3*pieceSize + 70_000: l.putBlob(t),
		len(old): func(name string, data []byte) Blob {
			if err := l.PutObject(t.Context(), name, bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			return Blob{Size: int64(len(data)), Hash: string(sandbox.Hash(data)), Object: name}
		},
	} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(random.Uint32())
		}
		b := put(NewID()+".result", want)
		r, err := l.OpenBlob(t.Context(), b)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if size < 1<<20 { // it reads byte by byte too
			if err := iotest.TestReader(r, want); err != nil {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		for range 20 {
			from := random.IntN(size + 1)
			n := random.IntN(min(size-from, 2*pieceSize) + 1)
			if _, err := r.Seek(int64(from), io.SeekStart); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, n)
			if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want[from:from+n]) {
				t.Errorf("%d bytes from %d of %d: %v", n, from, size, err)
			}
		}
		if all, err := l.ReadBlob(t.Context(), b); err != nil || !bytes.Equal(all, want) {
			t.Errorf("all %d bytes: %d, %v", size, len(all), err)
		}
	}
}

func (l *Ledger) putBlob(t *testing.T) func(string, []byte) Blob {
	t.Helper()
	return func(name string, data []byte) Blob {
		b, err := l.PutBlob(t.Context(), name, bytes.NewReader(data), int64(len(data)), string(sandbox.Hash(data)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// What is missing of a blob, and what changed in it, is said and not made up.
func TestDamagedBlobs(t *testing.T) {
	l := open1(t, Config{})
	data := bytes.Repeat([]byte("potluck\n"), (2*pieceSize+999)/8)
	for name, damage := range map[string]func(Blob) error{
		"all is gone": func(b Blob) error { return l.deleteObjects(t.Context(), under(b.Object)) },
		"a message is gone": func(b Blob) error {
			o, err := open(t.Context(), l.data, b.piece(1))
			if err == nil {
				err = o.skip(1)
			}
			if err == nil {
				err = l.data.stream.DeleteMsg(t.Context(), o.next+3)
			}
			return err
		},
		"an object is another": func(b Blob) error {
			return l.PutObject(context.Background(), b.piece(1), bytes.NewReader(data[:pieceSize-8]))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := l.putBlob(t)("job"+string(sandbox.Hash([]byte(name)))[:8]+".result", data)
			if err := damage(b); err != nil {
				t.Fatal(err)
			}
			got, err := l.ReadBlob(t.Context(), b)
			if err == nil || !bytes.HasPrefix(data, got) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			if name == "all is gone" && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		})
	}
}
