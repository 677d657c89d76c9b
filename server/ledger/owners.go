package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Ownership of a job is a lease in the ledger. It only says who should work on
// a job; the fence in its results makes sure that nobody else can. No other
// server can open an embedded store, so there it needs no lease.
const (
	ownTTL    = 30 * time.Second
	ownRenew  = 5 * time.Second
	ownGiveUp = 20 * time.Second // by our own clock: well before the lease runs out
)

// An Ownership is a job that this server owns until Lost is closed.
type Ownership struct {
	Job  string
	Lost chan struct{}
	// Epoch numbers the ownership: a later owner's is higher.
	Epoch uint64

	revision uint64
	renewed  time.Time
}

type owned struct {
	mu    sync.Mutex
	all   map[string]*Ownership
	epoch uint64 // of the last ownership in an embedded store
}

// Own tries to become the owner of a job; ok is false while another server is.
// A lease that this server had before it crashed is taken over at once.
func (l *Ledger) Own(ctx context.Context, job string) (o *Ownership, ok bool, err error) {
	o = &Ownership{Job: job, Lost: make(chan struct{}), renewed: time.Now()}
	if l.embedded != nil {
		l.owned.mu.Lock()
		defer l.owned.mu.Unlock()
		l.owned.epoch++
		o.Epoch = l.owned.epoch
		return o, true, nil
	}
	err = l.write(ctx, func(ctx context.Context) (err error) {
		o.revision, err = l.owners.Create(ctx, job, []byte(l.Server), jetstream.KeyTTL(ownTTL))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) {
		e, err := l.owners.Get(ctx, job)
		if err != nil || string(e.Value()) != l.Server {
			return nil, false, nil //nolint:nilerr // it has just gone: the next try gets it
		}
		o.revision = e.Revision()
		if err := l.renew(ctx, o); err != nil {
			return nil, false, nil //nolint:nilerr // likewise
		}
	} else if err != nil {
		return nil, false, err
	}
	o.Epoch = o.revision
	l.owned.mu.Lock()
	defer l.owned.mu.Unlock()
	if l.owned.all == nil {
		l.owned.all = map[string]*Ownership{}
	}
	l.owned.all[job] = o
	return o, true, nil
}

// Disown gives a job up, so that another server can take it at once.
func (l *Ledger) Disown(ctx context.Context, o *Ownership) {
	if l.embedded != nil {
		return
	}
	l.owned.mu.Lock()
	delete(l.owned.all, o.Job)
	l.owned.mu.Unlock()
	_ = l.owners.Purge(ctx, o.Job, jetstream.LastRevision(o.revision)) // else it runs out by itself
}

// renew writes the lease anew. A KV update would drop its time to live.
func (l *Ledger) renew(ctx context.Context, o *Ownership) error {
	m := nats.NewMsg("$KV.lease." + o.Job)
	m.Data = []byte(l.Server)
	now := time.Now()
	ack, err := l.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(o.revision), jetstream.WithMsgTTL(ownTTL))
	if err == nil {
		o.revision, o.renewed = ack.Sequence, now
	}
	return err
}

func (l *Ledger) renewOwned(ctx context.Context) {
	tick := time.NewTicker(ownRenew)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, o := range l.owned.list() {
				l.renewOne(ctx, o)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (l *Ledger) renewOne(ctx context.Context, o *Ownership) {
	ctx, cancel := context.WithTimeout(ctx, ownRenew)
	defer cancel()
	err := l.renew(ctx, o)
	taken := code(err) == codeWrongLastSeq || code(err) == codeWrongLastSeq2
	if err == nil || !taken && time.Since(o.renewed) < ownGiveUp {
		return
	}
	l.owned.mu.Lock()
	defer l.owned.mu.Unlock()
	if l.owned.all[o.Job] == o {
		delete(l.owned.all, o.Job)
		close(o.Lost)
	}
}

func (o *owned) list() (all []*Ownership) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, own := range o.all {
		all = append(all, own)
	}
	return all
}
