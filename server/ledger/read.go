package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// names lists all objects. The client's List waits for ever for what is deleted
// while it looks.
func (b bucket) names(ctx context.Context) (names []string, err error) {
	prefix := "$O." + b.name + ".M."
	info, err := b.stream.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, err
	}
	for subject := range info.State.Subjects {
		name, err := base64.URLEncoding.DecodeString(strings.TrimPrefix(subject, prefix))
		if err != nil {
			return nil, fmt.Errorf("%s names no object: %w", subject, err)
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	return names, nil
}

// An object is read message by message, each when the one before has been taken:
// the client's own reader has the server send all of it, and keeps in memory what
// is not taken yet.
type object struct {
	ctx     context.Context //nolint:containedctx // a reader lives for one call of its user
	from    bucket
	info    *jetstream.ObjectInfo
	next    uint64 // sequence from which on the next message is looked for
	left    int64  // bytes to come
	message []byte // what is left of the last one
	hash    hash.Hash
}

func open(ctx context.Context, from bucket, name string) (*object, error) {
	info, err := from.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("%s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, sort(err))
	}
	return &object{ctx: ctx, from: from, info: info, next: 1, left: int64(info.Size), hash: sha256.New()}, nil
}

// Read reads on. Whether all of it was what was stored is known at the end.
func (o *object) Read(p []byte) (int, error) {
	if err := o.fill(); err != nil {
		return 0, err
	}
	n := copy(p, o.message)
	o.message = o.message[n:]
	return n, nil
}

// skip passes over bytes.
func (o *object) skip(n int64) error {
	for n > 0 {
		if err := o.fill(); err != nil {
			return err
		}
		some := min(n, int64(len(o.message)))
		o.message, n = o.message[some:], n-some
	}
	return nil
}

// fill gets the next message once the last one has been taken.
func (o *object) fill() error {
	switch {
	case len(o.message) > 0:
		return nil
	case o.left == 0:
		return io.EOF
	}
	m, err := o.get()
	if err != nil {
		return fmt.Errorf("read %s: %w", o.info.Name, sort(err))
	}
	o.message, o.next, o.left = m.Data, m.Sequence+1, o.left-int64(len(m.Data))
	o.hash.Write(m.Data)
	if o.left < 0 || o.left == 0 && o.info.Digest != "SHA-256="+base64.URLEncoding.EncodeToString(o.hash.Sum(nil)) {
		return fmt.Errorf("read %s: %w", o.info.Name, ErrDamaged)
	}
	return nil
}

// Of a cluster a server may answer that does not have yet what another one has
// just stored.
const (
	getTries = 5
	getPause = 100 * time.Millisecond
)

func (o *object) get() (m *jetstream.RawStreamMsg, err error) {
	subject := fmt.Sprintf("$O.%s.C.%s", o.info.Bucket, o.info.NUID)
	for range getTries {
		m, err = o.from.stream.GetMsg(o.ctx, o.next, jetstream.WithGetMsgSubject(subject))
		if !errors.Is(err, jetstream.ErrMsgNotFound) {
			return m, err
		}
		select {
		case <-time.After(getPause):
		case <-o.ctx.Done():
			return nil, o.ctx.Err()
		}
	}
	return nil, fmt.Errorf("%d bytes of it are missing: %w, or was deleted meanwhile", o.left, ErrDamaged)
}

// A BlobReader reads a blob from any place on. It has one message of the store in
// memory, whatever the size of the blob.
type BlobReader struct {
	ledger *Ledger
	ctx    context.Context //nolint:containedctx // a reader lives for one call of its user
	blob   Blob
	at     int64 // where to read next
	object *object
	piece  int64 // that the object is
	done   int64 // where the object is to be read next, in the blob
}

// OpenBlob reads a blob; ErrNotFound if it does not even begin.
func (l *Ledger) OpenBlob(ctx context.Context, b Blob) (r *BlobReader, err error) {
	r = &BlobReader{ledger: l, ctx: ctx, blob: b}
	if b.Object != "" {
		r.object, err = open(ctx, l.data, b.piece(0))
	}
	return r, err
}

// Seek says where to read next (see io.Seeker).
func (r *BlobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.blob.Size
	}
	if offset < 0 {
		return r.at, errors.New("there is nothing before the start of a blob")
	}
	r.at = offset
	return r.at, nil
}

// Read reads on.
func (r *BlobReader) Read(p []byte) (n int, err error) {
	switch {
	case r.at >= r.blob.Size:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if r.blob.Object == "" {
		n = copy(p, r.blob.Inline[min(r.at, int64(len(r.blob.Inline))):])
		if n == 0 {
			err = io.ErrUnexpectedEOF
		}
	} else if err = r.find(); err == nil {
		n, err = r.object.Read(p)
		r.done += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s is damaged: it ends after %d bytes of %d", r.blob.Object, r.at, r.blob.Size)
	}
	r.at += int64(n)
	return n, err
}

// find has the object at hand that is to be read next, at the right place.
func (r *BlobReader) find() (err error) {
	piece := int64(0)
	if r.blob.Piece > 0 {
		piece = r.at / r.blob.Piece
	}
	if r.object == nil || r.piece != piece || r.done > r.at {
		if r.object, err = open(r.ctx, r.ledger.data, r.blob.piece(piece)); err != nil {
			return err
		}
		r.piece, r.done = piece, piece*r.blob.Piece
	}
	err = r.object.skip(r.at - r.done)
	r.done = r.at
	return err
}
