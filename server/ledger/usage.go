package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ownerHeader says in an upload's metadata whose it is.
const ownerHeader = "Potluck-Owner"

// listTime is how long it may take to list the uploads.
const listTime = 10 * time.Second

// A Usage is what somebody has in the grid.
type Usage struct {
	Jobs  int   // that have not ended
	Bytes int64 // of all that their jobs have, their modules and their uploads
}

// published is how large the modules are that have an owner, by their id.
type published struct {
	mu  sync.Mutex
	all map[string]Module
}

// applyModule takes an entry of the watcher. Modules are never deleted.
func (l *Ledger) applyModule(e jetstream.KeyValueEntry) {
	var m Module
	if json.Unmarshal(e.Value(), &m) == nil {
		l.countModule(&m)
	}
}

func (l *Ledger) countModule(m *Module) {
	if m.Owner == "" {
		return
	}
	l.published.mu.Lock()
	defer l.published.mu.Unlock()
	l.published.all[string(m.ID)] = Module{Owner: m.Owner, Bytes: m.Bytes}
}

// HasBounds says whether an owner may store so much and no more: admins have no
// bounds.
func (l *Ledger) HasBounds(owner string) bool {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	t := l.tokens.all[owner]
	return owner != "" && (t == nil || t.Role != RoleAdmin)
}

// Usage sums up what an owner has.
func (l *Ledger) Usage(ctx context.Context, owner string) (u Usage, err error) {
	u = l.Lasting(owner)
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	names, err := l.uploads.names(ctx)
	if err != nil {
		return u, fmt.Errorf("list uploads: %w", sort(err))
	}
	now := map[string]upload{}
	before := l.uploaded.Load()
	for _, name := range names {
		o, known := (*before)[name]
		if !known {
			info, err := l.uploads.GetInfo(ctx, name)
			if Trouble(err) != "" {
				return u, fmt.Errorf("look at an upload: %w", sort(err))
			}
			if err != nil {
				continue // it has just gone, or is damaged
			}
			o = upload{info.Headers.Get(ownerHeader), int64(info.Size)}
		}
		if now[name] = o; o.owner == owner {
			u.Bytes += o.bytes
		}
	}
	l.uploaded.Store(&now)
	return u, nil
}

// An upload is whose it is, and its size. It never changes, so it is looked up once.
type upload struct {
	owner string
	bytes int64
}

// Lasting sums up what an owner has but for the uploads, which go by themselves.
func (l *Ledger) Lasting(owner string) (u Usage) {
	for _, j := range l.Jobs() {
		if j.Owner != owner {
			continue
		}
		u.Bytes += j.Bytes + j.Params.Size + j.Result.Size + j.Kept
		if !j.State.Final() {
			u.Jobs++
		}
	}
	l.published.mu.Lock()
	for _, m := range l.published.all {
		if m.Owner == owner {
			u.Bytes += int64(m.Bytes)
		}
	}
	l.published.mu.Unlock()
	return u
}
