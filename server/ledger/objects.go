package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// inlineLimit is how many bytes of a blob or of chunks stand in the job record
// itself: that saves small jobs a write.
const inlineLimit = 1500

// A Blob is a byte string of a job: in the record if it is small, else an object.
type Blob struct {
	Size   int64  `json:"size,omitempty"`
	Hash   string `json:"hash,omitempty"` // SHA-256, hexadecimal
	Inline []byte `json:"inline,omitempty"`
	Object string `json:"object,omitempty"`
	// Piece is how many bytes each of its objects has, but for the last, if there
	// are several: Object.0, Object.1 and so on. Any place of it is found at once.
	Piece int64 `json:"piece,omitempty"`
}

// pieceSize is how many bytes of a large blob an object has: few enough that a
// range is read soon, enough that objects, which cost memory, are few.
const pieceSize = 4 << 20

// IsZero says that there is no blob, as opposed to an empty one.
func (b Blob) IsZero() bool { return b.Hash == "" }

// PutBlob stores size bytes of r under a name that starts with the job's id
// and a dot.
func (l *Ledger) PutBlob(ctx context.Context, name string, r io.Reader, size int64, hash string) (Blob, error) {
	b := Blob{Size: size, Hash: hash}
	if size <= inlineLimit {
		var err error
		b.Inline, err = io.ReadAll(r)
		return b, err
	}
	b.Object = name
	if size <= pieceSize {
		return b, l.PutObject(ctx, name, r)
	}
	b.Piece = pieceSize
	for i := range (size + pieceSize - 1) / pieceSize {
		if err := l.PutObject(ctx, b.piece(i), io.LimitReader(r, pieceSize)); err != nil {
			return b, err
		}
	}
	return b, nil
}

// piece names one of a blob's objects.
func (b Blob) piece(i int64) string {
	if b.Piece == 0 {
		return b.Object
	}
	return fmt.Sprintf("%s.%d", b.Object, i)
}

// ReadBlob reads the whole of a blob.
func (l *Ledger) ReadBlob(ctx context.Context, b Blob) ([]byte, error) {
	if b.Object == "" {
		return b.Inline, nil
	}
	r, err := l.OpenBlob(ctx, b)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// PutObject stores an object durably.
func (l *Ledger) PutObject(ctx context.Context, name string, r io.Reader) error {
	return l.put(ctx, l.data, jetstream.ObjectMeta{Name: name}, r)
}

// A bucket is an object store, and the stream that it is kept in.
type bucket struct {
	jetstream.ObjectStore
	name   string
	stream jetstream.Stream
}

func (b bucket) chunks(id string) string { return "$O." + b.name + ".C." + id }
func (b bucket) meta(object string) string {
	return "$O." + b.name + ".M." + base64.URLEncoding.EncodeToString([]byte(object))
}

const (
	messageSize = 128 << 10 // bytes of an object in one message
	// maxUnderway is how many chunks of all objects together, 16 MiB, may be on
	// their way to the store. It drops what its queue has no room for, 128 MiB.
	maxUnderway = 128
	// putTime is how long the store may take for one chunk.
	putTime = time.Minute
	// forgetTime is how long what came of an object that was cut off may take to be deleted.
	forgetTime = 10 * time.Second
)

// put stores an object as the client's own Put does, which has no bound for the
// bytes that are on their way. What is cut off leaves nothing behind.
func (l *Ledger) put(ctx context.Context, b bucket, meta jetstream.ObjectMeta, r io.Reader) error {
	release, err := l.naming.take(ctx, b.meta(meta.Name))
	if err != nil {
		return fmt.Errorf("store %s: %w", meta.Name, err)
	}
	defer release()
	old, err := b.GetInfo(ctx, meta.Name)
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("store %s: %w", meta.Name, sort(err))
	}
	meta.Opts = &jetstream.ObjectMetaOptions{ChunkSize: messageSize}
	info := jetstream.ObjectInfo{ObjectMeta: meta, Bucket: b.name, NUID: NewID()}
	err = l.write(ctx, func(ctx context.Context) error {
		if err := l.putChunks(ctx, b, &info, r); err != nil {
			return err
		}
		return l.putInfo(ctx, b, &info)
	})
	gone := info.NUID
	if err == nil {
		if old == nil {
			return nil
		}
		gone = old.NUID
	}
	background, cancel := context.WithTimeout(context.WithoutCancel(ctx), forgetTime)
	defer cancel()
	if forgot := l.purge(background, b, b.chunks(gone)); forgot != nil {
		l.config.Log.Warn("a part of an object stays until the next start", "object", meta.Name, "error", forgot)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", meta.Name, err)
	}
	return nil
}

// naming has one put after the other under one name: what two store at the same
// time would not be known to either, and of one nothing would be deleted.
type naming struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

func (n *naming) take(ctx context.Context, name string) (release func(), err error) {
	for {
		n.mu.Lock()
		other, done := n.busy[name], make(chan struct{})
		if other == nil {
			if n.busy == nil {
				n.busy = map[string]chan struct{}{}
			}
			n.busy[name] = done
		}
		n.mu.Unlock()
		if other == nil {
			return func() {
				n.mu.Lock()
				defer n.mu.Unlock()
				delete(n.busy, name)
				close(done)
			}, nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// putChunks stores the bytes of an object, in chunks, and notes what they are.
func (l *Ledger) putChunks(ctx context.Context, b bucket, info *jetstream.ObjectInfo, r io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var landing sync.WaitGroup
	defer landing.Wait() // the window counts what is under way
	sum, chunk := sha256.New(), make([]byte, messageSize)
	for {
		n, err := fill(chunk, r)
		if n > 0 {
			sum.Write(chunk[:n])
			info.Size += uint64(n)
			info.Chunks++
			if err := l.putChunk(ctx, cancel, &landing, b.chunks(info.NUID), chunk[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	landing.Wait()
	info.Digest = jetstream.GetObjectDigestValue(sum)
	return context.Cause(ctx)
}

// fill reads as much as fits, or as comes before an error. io.ReadFull would not
// tell the end of a reader from a reader that was cut off.
func fill(chunk []byte, r io.Reader) (n int, err error) {
	for n < len(chunk) && err == nil {
		var more int
		more, err = r.Read(chunk[n:])
		n += more
	}
	return n, err
}

// putChunk sends a chunk once there is room for it in the window, and has failed
// called if it does not arrive.
func (l *Ledger) putChunk(ctx context.Context, failed context.CancelCauseFunc, landing *sync.WaitGroup, subject string, chunk []byte) error {
	select {
	case l.underway <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := l.Room()
	var sent jetstream.PubAckFuture
	if err == nil {
		sent, err = l.puts.PublishAsync(subject, chunk, jetstream.WithRetryAttempts(0))
	}
	if err != nil {
		<-l.underway
		return err
	}
	over := l.keeper.over()
	landing.Go(func() { // also when the sender is gone: it is under way
		defer func() { <-l.underway }()
		select {
		case <-sent.Ok():
		case err := <-sent.Err():
			failed(err)
		case <-over:
			failed(errOpened)
		}
	})
	return nil
}

// putInfo makes an object of the chunks that were stored.
func (l *Ledger) putInfo(ctx context.Context, b bucket, info *jetstream.ObjectInfo) error {
	data, err := json.Marshal(info)
	if err != nil {
		return err
	}
	m := nats.NewMsg(b.meta(info.Name))
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	m.Data = data
	_, err = l.js.PublishMsg(ctx, m)
	return err
}

// purge deletes all messages of a subject.
func (l *Ledger) purge(ctx context.Context, b bucket, subject string) error {
	return l.erase(ctx, func(ctx context.Context) error { return b.stream.Purge(ctx, jetstream.WithPurgeSubject(subject)) })
}

// GetObject reads the whole of an object; ErrNotFound if there is none.
func (l *Ledger) GetObject(ctx context.Context, name string) ([]byte, error) {
	r, err := open(ctx, l.data, name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// HasObject says whether there is an object of that name.
func (l *Ledger) HasObject(ctx context.Context, name string) (bool, error) {
	_, err := l.data.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, sort(err)
}

// OutputObject names an output of a task that is too large for a message.
func OutputObject(job string, hash []byte) string {
	return OutputPrefix(job) + "." + hex.EncodeToString(hash)
}

// OutputPrefix is how the names of a job's outputs begin, with a dot after it.
func OutputPrefix(job string) string { return job + ".out" }

// DeleteObject removes an object, if it is there, and every trace of it: the
// client's Delete would leave a marker for ever, and fail where there is no
// room for that, in a full store, just when it is needed most.
func (l *Ledger) DeleteObject(ctx context.Context, name string) error {
	o, err := l.data.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	for _, subject := range []string{l.data.chunks(o.NUID), l.data.meta(name)} {
		if err := l.purge(ctx, l.data, subject); err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
	}
	return nil
}

// deleteObjects removes all objects of these names.
func (l *Ledger) deleteObjects(ctx context.Context, of func(name string) bool) error {
	names, err := l.data.names(ctx)
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	for _, name := range names {
		if !of(name) {
			continue
		}
		if err := l.DeleteObject(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// sweepPieces deletes what is left of objects that were cut off with their
// server: pieces that belong to none, and are from before before.
func (l *Ledger) sweepPieces(ctx context.Context, b bucket, before time.Time) error {
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(b.chunks(">")))
	if err != nil {
		return fmt.Errorf("look for pieces: %w", err)
	}
	names, err := b.names(ctx) // after the pieces: an object comes after all of its own
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	of := map[string]bool{}
	for _, name := range names {
		switch o, err := b.GetInfo(ctx, name); {
		case err == nil:
			of[b.chunks(o.NUID)] = true
		case !errors.Is(err, jetstream.ErrObjectNotFound): // else it was deleted meanwhile
			return fmt.Errorf("read what object %s is: %w", name, err)
		}
	}
	for subject := range info.State.Subjects {
		made, dated := madeAt(strings.TrimPrefix(subject, b.chunks("")))
		if of[subject] || dated && made.After(before) || !dated && l.embedded == nil {
			continue
		}
		if err := l.purge(ctx, b, subject); err != nil {
			return fmt.Errorf("delete pieces: %w", err)
		}
	}
	return nil
}

// under says which objects belong to a job, or to one try to make it.
func under(prefix string) func(string) bool {
	return func(name string) bool { return strings.HasPrefix(name, prefix+".") }
}

// PutUpload keeps data that a submitter sent ahead of a job, for a day.
func (l *Ledger) PutUpload(ctx context.Context, name, owner string, r io.Reader) error {
	return l.put(ctx, l.uploads, jetstream.ObjectMeta{Name: name, Headers: nats.Header{ownerHeader: {owner}}}, r)
}

// OpenUpload reads an upload; ErrNotFound if there is none any more.
func (l *Ledger) OpenUpload(ctx context.Context, name string) (io.Reader, error) {
	return open(ctx, l.uploads, name)
}
