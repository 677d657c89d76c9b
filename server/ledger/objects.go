package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
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
}

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
	return b, l.PutObject(ctx, name, r)
}

// OpenBlob reads a blob.
func (l *Ledger) OpenBlob(ctx context.Context, b Blob) (io.ReadCloser, error) {
	if b.Object == "" {
		return io.NopCloser(bytes.NewReader(b.Inline)), nil
	}
	return l.OpenObject(ctx, b.Object)
}

// ReadBlob reads the whole of a blob.
func (l *Ledger) ReadBlob(ctx context.Context, b Blob) ([]byte, error) {
	if b.Object == "" {
		return b.Inline, nil
	}
	return l.GetObject(ctx, b.Object)
}

// PutObject stores an object durably.
func (l *Ledger) PutObject(ctx context.Context, name string, r io.Reader) error {
	return put(ctx, l.data, jetstream.ObjectMeta{Name: name}, r)
}

func put(ctx context.Context, s jetstream.ObjectStore, meta jetstream.ObjectMeta, r io.Reader) error {
	if _, err := s.Put(ctx, meta, r); err != nil {
		return fmt.Errorf("store %s: %w", meta.Name, full(err))
	}
	return nil
}

// OpenObject reads an object; ErrNotFound if there is none. Its hash is checked
// at the end.
func (l *Ledger) OpenObject(ctx context.Context, name string) (io.ReadCloser, error) {
	return open(ctx, l.data, name)
}

// readTime is how long reading an object may take if its reader does not say:
// the client would give it five seconds, and one that is damaged never ends.
const readTime = 5 * time.Minute

type object struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (o object) Close() error {
	o.cancel()
	return o.ReadCloser.Close()
}

func open(ctx context.Context, s jetstream.ObjectStore, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	o, err := s.Get(ctx, name)
	if err == nil {
		return object{o, cancel}, nil
	}
	cancel()
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	return nil, fmt.Errorf("read %s: %w", name, err)
}

// GetObject reads the whole of an object.
func (l *Ledger) GetObject(ctx context.Context, name string) ([]byte, error) {
	r, err := l.OpenObject(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // only read
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// HasObject says whether there is an object of that name.
func (l *Ledger) HasObject(ctx context.Context, name string) (bool, error) {
	_, err := l.data.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return false, nil
	}
	return err == nil, err
}

// deleteObjects removes all objects of these names, and every trace of them:
// the client's Delete would leave a marker for ever, and fail for want of room
// for it in a full store, just when it is needed most.
func (l *Ledger) deleteObjects(ctx context.Context, of func(name string) bool) error {
	all, err := l.data.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	s, err := l.js.Stream(ctx, "OBJ_data")
	if err != nil {
		return err
	}
	for _, o := range all {
		if !of(o.Name) {
			continue
		}
		meta := "$O.data.M." + base64.URLEncoding.EncodeToString([]byte(o.Name))
		for _, subject := range []string{"$O.data.C." + o.NUID, meta} {
			if err := s.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
				return fmt.Errorf("delete %s: %w", o.Name, err)
			}
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
	return put(ctx, l.uploads, jetstream.ObjectMeta{Name: name, Headers: nats.Header{ownerHeader: {owner}}}, r)
}

// OpenUpload reads an upload; ErrNotFound if there is none any more.
func (l *Ledger) OpenUpload(ctx context.Context, name string) (io.ReadCloser, error) {
	return open(ctx, l.uploads, name)
}
