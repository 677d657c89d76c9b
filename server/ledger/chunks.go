package ledger

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"potluck/contract"
)

// chunkSize is about how many bytes of records an object of a series has.
const chunkSize = 1 << 20

// Chunks is a numbered series of byte strings, stored some thousands an object
// because an object for each would cost memory for ever. Few and small ones
// stand in the job record itself.
type Chunks struct {
	Name   string `json:"name,omitempty"`
	Inline []byte `json:"inline,omitempty"` // records
	Firsts []int  `json:"firsts,omitempty"` // number of the first string of each object
	Count  int    `json:"count,omitempty"`
}

// A ChunkWriter stores a series.
type ChunkWriter struct {
	ledger  *Ledger
	ctx     context.Context //nolint:containedctx // a writer lives for one call of its user
	chunks  Chunks
	pending []byte
	first   int
}

// NewChunks starts a series under a name that starts with the job's id and a dot.
func (l *Ledger) NewChunks(ctx context.Context, name string) *ChunkWriter {
	return &ChunkWriter{ledger: l, ctx: ctx, chunks: Chunks{Name: name}}
}

// Add appends a string.
func (w *ChunkWriter) Add(data []byte) error {
	w.pending = contract.AppendRecord(w.pending, data)
	w.chunks.Count++
	if len(w.pending) < chunkSize {
		return nil
	}
	return w.flush()
}

// Count is how many strings were added.
func (w *ChunkWriter) Count() int { return w.chunks.Count }

func (w *ChunkWriter) flush() error {
	name := w.chunks.object(len(w.chunks.Firsts))
	if err := w.ledger.PutObject(w.ctx, name, bytes.NewReader(w.pending)); err != nil {
		return err
	}
	w.chunks.Firsts = append(w.chunks.Firsts, w.first)
	w.first, w.pending = w.chunks.Count, w.pending[:0]
	return nil
}

// Close stores what is left and gives the series.
func (w *ChunkWriter) Close() (Chunks, error) {
	if len(w.chunks.Firsts) == 0 && len(w.pending) <= inlineLimit {
		w.chunks.Inline = w.pending
		return w.chunks, nil
	}
	var err error
	if len(w.pending) > 0 {
		err = w.flush()
	}
	return w.chunks, err
}

func (c Chunks) object(i int) string { return fmt.Sprintf("%s.%d", c.Name, i) }

// A ChunkReader reads a series by number and keeps the objects that it read
// last. It may be used from several goroutines.
type ChunkReader struct {
	ledger *Ledger
	chunks Chunks
	mu     sync.Mutex
	kept   []keptChunk // most recent last
	size   int         // of all that is kept
}

type keptChunk struct {
	number, size int
	items        [][]byte
}

// How many objects a reader keeps, and how many bytes: inputs may be large, and
// many jobs have a reader. The one that was read last is kept anyway.
const (
	maxKept      = 8
	maxKeptBytes = 8 << 20
)

// OpenChunks reads a series.
func (l *Ledger) OpenChunks(c Chunks) *ChunkReader { return &ChunkReader{ledger: l, chunks: c} }

// Get gives string i.
func (r *ChunkReader) Get(ctx context.Context, i int) ([]byte, error) {
	if i < 0 || i >= r.chunks.Count {
		return nil, fmt.Errorf("%s has no number %d: %w", r.chunks.Name, i, ErrNotFound)
	}
	number, exact := slices.BinarySearch(r.chunks.Firsts, i)
	if !exact {
		number--
	}
	first := 0
	if number >= 0 {
		first = r.chunks.Firsts[number]
	}
	items, err := r.chunk(ctx, number)
	if err == nil && i-first >= len(items) {
		err = fmt.Errorf("%s is damaged: it ends before number %d", r.chunks.Name, i)
	}
	if err != nil {
		return nil, err
	}
	return items[i-first], nil
}

// chunk gives the strings of an object, of the record itself for -1.
func (r *ChunkReader) chunk(ctx context.Context, number int) ([][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, k := range r.kept {
		if k.number == number {
			r.kept = append(slices.Delete(r.kept, i, i+1), k)
			return k.items, nil
		}
	}
	data := r.chunks.Inline
	if number >= 0 {
		var err error
		if data, err = r.ledger.GetObject(ctx, r.chunks.object(number)); err != nil {
			return nil, err
		}
	}
	k := keptChunk{number: number, size: len(data)}
	for item, err := range contract.Records(data) {
		if err != nil {
			return nil, fmt.Errorf("%s is damaged: %w", r.chunks.Name, err)
		}
		k.items = append(k.items, item)
	}
	r.kept, r.size = append(r.kept, k), r.size+k.size
	for len(r.kept) > maxKept || r.size > maxKeptBytes && len(r.kept) > 1 {
		r.size -= r.kept[0].size
		r.kept = slices.Delete(r.kept, 0, 1)
	}
	return k.items, nil
}
