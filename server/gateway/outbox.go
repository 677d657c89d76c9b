package gateway

import (
	"context"
	"sync"

	"github.com/coder/websocket"

	"potluck/wire"
)

// An outbox collects what is to be sent, so that what comes together goes
// together. It is bounded by the worker's credit.
type outbox struct {
	mu      *sync.Mutex
	waiting []wire.ToWorker
	some    chan struct{}
}

func newOutbox() outbox { return outbox{mu: &sync.Mutex{}, some: make(chan struct{}, 1)} }

func (s *session) send(m wire.ToWorker) {
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
			var m wire.ToWorker
			m, waiting = merge(waiting)
			data, err := wire.Encode(m)
			if err == nil {
				err = s.conn.Write(ctx, websocket.MessageBinary, data)
			}
			if err != nil {
				return err
			}
		}
	}
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
