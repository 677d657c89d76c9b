package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/contract"
)

// maxMessage is how many bytes of records are packed into one message.
const maxMessage = 512 << 10

// ErrFenced says that somebody else owns the job now.
var ErrFenced = errors.New("another server owns this job now")

// Results is the log of a job's accepted results, with a single writer. Every
// append names the sequence it expects: the first append of a new owner makes
// the next one of the old owner fail. A message is the kind of its content and
// records, each with a checksum before it (CRC-32C, little endian).
type Results struct {
	ledger *Ledger
	name   string
	seq    uint64 // sequence of the last message
}

// The kinds of a message.
const (
	kindOwner   = 'o' // one record: the server that owns the job from here on
	kindResults = 'r'
)

// OpenResults opens the log of a job as its owner. What is in it is given to
// replay, record by record, and from here on nobody else can append; of a job that
// this server has just made, whoever appends first is the one who can. damaged says
// that records were lost to a fault of the disk.
func (l *Ledger) OpenResults(ctx context.Context, j *Job, replay func([]byte) error) (r *Results, damaged bool, err error) {
	r = &Results{ledger: l, name: j.Log}
	if l.fresh(j.ID) {
		return r, false, nil
	}
	s, err := l.makeLog(ctx, j.Log)
	if err != nil {
		return nil, false, fmt.Errorf("open the results of job %s: %w", j.ID, err)
	}
	last := s.CachedInfo().State.LastSeq
	r.seq = last
	lost, err := r.own(ctx)
	if err != nil {
		return nil, false, err
	}
	damaged, err = r.replay(ctx, s, last, replay)
	if err == nil {
		_, cut := l.damagedLogs.LoadAndDelete(j.Log)
		damaged = damaged || lost || cut
	}
	return r, damaged, err
}

// own makes this server the owner of a log. lost says that the store still counts
// messages that it has lost: nobody was faster, but no append would be expected.
func (r *Results) own(ctx context.Context) (lost bool, err error) {
	mark := pack(kindOwner, [][]byte{[]byte(r.ledger.Server)})
	if err := r.append(ctx, mark); !errors.Is(err, ErrFenced) {
		return false, err
	}
	s, err := r.ledger.js.Stream(ctx, r.name)
	if err != nil || s.CachedInfo().State.LastSeq != r.seq {
		return false, ErrFenced
	}
	err = r.ledger.write(ctx, func(ctx context.Context) error {
		ack, err := r.ledger.js.Publish(ctx, logSubject(r.name), mark, jetstream.WithRetryAttempts(0))
		if err == nil {
			r.seq = ack.Sequence
		}
		return err
	})
	if err != nil {
		return false, fmt.Errorf("append to results that are damaged: %w", err)
	}
	return true, nil
}

// ReadResults gives what is in the log of a job to yield, record by record,
// without becoming its owner. A job whose log is gone has none.
func (l *Ledger) ReadResults(ctx context.Context, j *Job, yield func([]byte) error) (damaged bool, err error) {
	s, err := l.js.Stream(ctx, j.Log)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("open the results of job %s: %w", j.ID, err)
	}
	r := &Results{ledger: l, name: j.Log}
	return r.replay(ctx, s, s.CachedInfo().State.LastSeq, yield)
}

// Append stores records durably, or returns ErrFenced, ErrFull or why else not.
func (r *Results) Append(ctx context.Context, records [][]byte) error {
	for len(records) > 0 {
		n, size := 0, 0
		for n < len(records) && (n == 0 || size+len(records[n]) <= maxMessage) {
			size += len(records[n])
			n++
		}
		if err := r.append(ctx, pack(kindResults, records[:n])); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func pack(kind byte, records [][]byte) []byte {
	out := []byte{kind}
	for _, rec := range records {
		out = binary.LittleEndian.AppendUint32(out, crc32.Checksum(rec, castagnoli))
		out = contract.AppendRecord(out, rec)
	}
	return out
}

// unpack gives the records of a message; ok is false if some are damaged.
func unpack(data []byte, yield func([]byte) error) (ok bool, err error) {
	if len(data) == 0 || data[0] != kindOwner && data[0] != kindResults {
		return false, nil
	}
	kind, data := data[0], data[1:]
	for len(data) > 0 {
		if len(data) < 4 {
			return false, nil
		}
		sum := binary.LittleEndian.Uint32(data)
		rec, rest, err := contract.NextRecord(data[4:])
		if err != nil || crc32.Checksum(rec, castagnoli) != sum {
			return false, nil //nolint:nilerr // damage is not an error here: the rest is good
		}
		if kind == kindResults {
			if err := yield(rec); err != nil {
				return true, err
			}
		}
		data = rest
	}
	return true, nil
}

func (r *Results) append(ctx context.Context, data []byte) error {
	for {
		var ack *jetstream.PubAck
		err := r.ledger.write(ctx, func(ctx context.Context) (err error) {
			ack, err = r.ledger.js.Publish(ctx, logSubject(r.name), data, jetstream.WithExpectLastSequence(r.seq), jetstream.WithRetryAttempts(0))
			return err
		})
		if err == nil {
			r.seq = ack.Sequence
			return nil
		}
		if c := code(err); c == codeWrongLastSeq || c == codeWrongLastSeq2 || c == codeStreamNotFound {
			if mine, err := r.landed(ctx, data); mine || err != nil {
				return err
			}
			return ErrFenced
		}
		if errors.Is(err, ErrStore) && ctx.Err() == nil && r.ledger.Room() == nil { // nobody knows whether it arrived
			if mine, err := r.landed(ctx, data); mine || err != nil {
				return err
			}
			continue // it never arrived: once more
		}
		return fmt.Errorf("append results: %w", err)
	}
}

// landed says whether a message whose answer was lost was stored after all.
func (r *Results) landed(ctx context.Context, data []byte) (bool, error) {
	s, err := r.ledger.js.Stream(ctx, r.name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return false, ErrFenced // the job is gone, and its log with it
	}
	if err != nil {
		return false, fmt.Errorf("look an append up: %w", sort(err))
	}
	m, err := s.GetMsg(ctx, r.seq+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look an append up: %w", sort(err))
	}
	if bytes.Equal(m.Data, data) {
		r.seq++
		return true, nil
	}
	return false, ErrFenced
}

// stall is how long a read may stand still before it is begun again.
const stall = 5 * time.Second

// replayAhead is how many bytes are asked for ahead: with more under way the
// server would take this connection for a slow one and cut it.
const replayAhead = 16 << 20

// replay reads the messages up to last.
func (r *Results) replay(ctx context.Context, s jetstream.Stream, last uint64, yield func([]byte) error) (damaged bool, err error) {
	damaged = s.CachedInfo().State.NumDeleted > 0 || s.CachedInfo().State.FirstSeq > 1
	next := uint64(1)
	for tries := 0; next <= last; tries++ {
		from := next
		if next, err = r.read(ctx, s, next, last, &damaged, yield); err != nil {
			return damaged, err
		}
		if next == from && tries >= 3 {
			return true, fmt.Errorf("the results of %s cannot be read from message %d on", r.name, next)
		}
	}
	return damaged, nil
}

func (r *Results) read(ctx context.Context, s jetstream.Stream, next, last uint64, damaged *bool, yield func([]byte) error) (uint64, error) {
	c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{OptStartSeq: next, DeliverPolicy: jetstream.DeliverByStartSequencePolicy})
	if err != nil {
		return next, fmt.Errorf("read results: %w", err)
	}
	messages, err := c.Messages(jetstream.PullMaxBytes(replayAhead))
	if err != nil {
		return next, fmt.Errorf("read results: %w", err)
	}
	defer messages.Stop()
	for next <= last {
		m, err := messages.Next(jetstream.NextMaxWait(stall))
		if err != nil {
			return next, nil //nolint:nilerr // begun again by the caller
		}
		meta, err := m.Metadata()
		if err != nil {
			return next, err
		}
		if meta.Sequence.Stream != next {
			*damaged = true
		}
		ok, err := unpack(m.Data(), yield)
		if err != nil {
			return next, err
		}
		*damaged = *damaged || !ok
		next = meta.Sequence.Stream + 1
	}
	return next, nil
}
