package gateway

import (
	"context"
	"sync"

	"github.com/coder/websocket"

	"potluck/wire"
)

// An outbox collects what is to be sent, so that what comes together goes
// together.
type outbox struct {
	mu      *sync.Mutex
	waiting []wire.ToWorker
	some    chan struct{}
}

func newOutbox() outbox { return outbox{mu: &sync.Mutex{}, some: make(chan struct{}, 1)} }

// maxBacklog is how many bytes a gateway holds for a worker before it stops to
// read its messages and to lend it more: what it has not taken yet, and results
// that the foremen have not. One message and one batch may come on top. A
// worker that does not read at all is dead by the next ping.
const maxBacklog = 4 << 20

// A backlog counts them.
type backlog struct {
	mu    sync.Mutex
	bytes int
	freed chan struct{} // closed once there is room again, if somebody waits
}

func (b *backlog) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.bytes
	b.bytes += n
	if b.freed != nil && was > maxBacklog && b.bytes <= maxBacklog {
		close(b.freed)
		b.freed = nil
	}
}

// full gives what is closed once there is room, or nil if there is some.
func (b *backlog) full() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bytes <= maxBacklog {
		return nil
	}
	if b.freed == nil {
		b.freed = make(chan struct{})
	}
	return b.freed
}

// room waits until there is room.
func (b *backlog) room(ctx context.Context) error {
	if freed := b.full(); freed != nil {
		select {
		case <-freed:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}

func (s *session) send(m wire.ToWorker) {
	s.backlog.add(messageSize(m))
	s.out.mu.Lock()
	s.out.waiting = append(s.out.waiting, m)
	s.out.mu.Unlock()
	select {
	case s.out.some <- struct{}{}:
	default:
	}
}

// writeAll writes messages, merging those that fit together.
func (s *session) writeAll(ctx context.Context) error {
	for {
		select {
		case <-s.out.some:
		case <-ctx.Done():
			return ctx.Err()
		}
		s.out.mu.Lock()
		waiting := s.out.waiting
		s.out.waiting = nil
		s.out.mu.Unlock()
		for len(waiting) > 0 {
			m, rest := merge(waiting)
			size := 0
			for _, sent := range waiting[:len(waiting)-len(rest)] {
				size += messageSize(sent)
			}
			waiting = rest
			data, err := wire.Encode(m)
			if err == nil {
				err = s.conn.Write(ctx, websocket.MessageBinary, data)
			}
			if err != nil {
				return err
			}
			s.backlog.add(-size)
		}
	}
}

// messageSize estimates what a message takes in memory.
func messageSize(m wire.ToWorker) int {
	n := batchSize(m.Batches) + 256
	for _, a := range m.Acks {
		n += len(a.Lease) + len(a.Reason) + 64
	}
	for _, id := range m.Revoked {
		n += len(id) + 24
	}
	return n
}

// maxItems is how many answers to results, or revocations, go into one message.
const maxItems = 4096

// merge takes as many messages from the front as fit into one.
func merge(waiting []wire.ToWorker) (m wire.ToWorker, rest []wire.ToWorker) {
	size := 0
	for i, w := range waiting {
		size += batchSize(w.Batches)
		if i > 0 && (size > wire.MaxBatch || max(len(m.Acks)+len(w.Acks), len(m.Revoked)+len(w.Revoked)) > maxItems || m.Welcome != nil) {
			return m, waiting[i:]
		}
		m.Batches = append(m.Batches, w.Batches...)
		m.Acks = append(m.Acks, w.Acks...)
		m.Revoked = append(m.Revoked, w.Revoked...)
		m.Drain = m.Drain || w.Drain
		if w.Welcome != nil {
			m.Welcome = w.Welcome
		}
		if w.Idle != nil {
			m.Idle = w.Idle
		}
	}
	return m, nil
}

func batchSize(batches []wire.Batch) (n int) {
	for _, b := range batches {
		for i := range b.Leases {
			n += b.Leases[i].Size()
		}
	}
	return n
}
