package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An Alias is what a volunteer wants to be called, and their team. It is kept here and nowhere
// else: whatever shows a name looks it up, so that a name that is erased is gone.
type Alias struct {
	Name string `json:"name,omitempty"`
	Team string `json:"team,omitempty"` // whoever names it is in it
}

// aliases is every alias, kept current by one watcher.
type aliases struct {
	mu       sync.Mutex
	known    map[string]knownAlias
	watchers []func(volunteer string)
}

type knownAlias struct {
	Alias
	revision uint64
	at       time.Time // when it was stored
}

// How long a name is kept after the last result that counted, and how old it is
// when another such result stores it anew.
const (
	aliasKept  = 365 * 24 * time.Hour
	aliasAnew  = 24 * time.Hour
	forgetEach = time.Hour // is looked for names that are to be forgotten
)

// Alias gives what a volunteer is called; the zero one if they did not say.
func (l *Ledger) Alias(volunteer string) Alias {
	l.aliases.mu.Lock()
	defer l.aliases.mu.Unlock()
	return l.aliases.known[volunteer].Alias
}

// WatchAliases calls f with every volunteer whose alias changes from now on. f
// must not block.
func (l *Ledger) WatchAliases(f func(volunteer string)) {
	l.aliases.mu.Lock()
	defer l.aliases.mu.Unlock()
	l.aliases.watchers = append(l.aliases.watchers, f)
}

// Rename is SetAlias, unless that is what the volunteer is called already.
func (l *Ledger) Rename(ctx context.Context, volunteer string, a Alias) error {
	if l.Alias(volunteer) == a {
		return nil
	}
	return l.SetAlias(ctx, volunteer, a)
}

// SetAlias stores what a volunteer wants to be called from now on, the zero
// alias to be called nothing: it takes the old one's place on disk. Once it
// returns this server knows, and the others do in a moment.
func (l *Ledger) SetAlias(ctx context.Context, volunteer string, a Alias) error {
	l.aliases.mu.Lock()
	old := l.aliases.known[volunteer]
	l.aliases.mu.Unlock()
	if old.Alias == a && (a == Alias{} || time.Since(old.at) < aliasAnew) {
		return nil
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var revision uint64
	err = l.write(ctx, func(ctx context.Context) (err error) {
		revision, err = l.aliasBucket.Put(ctx, volunteer, data)
		return err
	})
	if err != nil {
		return fmt.Errorf("store the name of volunteer %s: %w", volunteer, err)
	}
	l.applyAliasOf(volunteer, knownAlias{a, revision, time.Now()})
	return nil
}

// IsKnown says whether a volunteer has done something here that is remembered, or
// has a name.
func (l *Ledger) IsKnown(volunteer string) bool {
	return l.Alias(volunteer) != Alias{} || l.Reputation(volunteer).worthKeeping()
}

func (l *Ledger) forgetOld(ctx context.Context) {
	tick := time.NewTicker(forgetEach)
	defer tick.Stop()
	for {
		if err := l.ForgetAliases(ctx, time.Now()); err != nil && ctx.Err() == nil {
			l.config.Log.Warn("old names could not be forgotten; trying again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// ForgetAliases deletes the names of those of whom no result has counted for long,
// and every trace of them.
func (l *Ledger) ForgetAliases(ctx context.Context, now time.Time) error {
	old := map[string]knownAlias{}
	l.aliases.mu.Lock()
	for volunteer, k := range l.aliases.known {
		if now.Sub(k.at) > aliasKept {
			old[volunteer] = k
		}
	}
	l.aliases.mu.Unlock()
	if len(old) == 0 {
		return nil
	}
	for volunteer, k := range old {
		err := l.erase(ctx, func(ctx context.Context) error {
			s, err := l.js.Stream(ctx, "KV_aliases")
			if err == nil {
				err = s.Purge(ctx, jetstream.WithPurgeSubject("$KV.aliases."+volunteer), jetstream.WithPurgeSequence(k.revision+1))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("forget the name of volunteer %s: %w", volunteer, err)
		}
		l.aliases.mu.Lock()
		if l.aliases.known[volunteer].revision == k.revision {
			delete(l.aliases.known, volunteer)
		}
		l.aliases.mu.Unlock()
	}
	return nil
}

// applyAlias takes an entry of the watcher.
func (l *Ledger) applyAlias(e jetstream.KeyValueEntry) {
	k := knownAlias{revision: e.Revision(), at: e.Created()}
	if e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &k.Alias) == nil {
		l.applyAliasOf(e.Key(), k)
	}
}

func (l *Ledger) applyAliasOf(volunteer string, k knownAlias) {
	l.aliases.mu.Lock()
	old := l.aliases.known[volunteer]
	if old.revision >= k.revision {
		l.aliases.mu.Unlock()
		return
	}
	l.aliases.known[volunteer] = k
	watchers := l.aliases.watchers
	l.aliases.mu.Unlock() // they may ask for the alias
	if old.Alias != k.Alias {
		for _, watch := range watchers {
			watch(volunteer)
		}
	}
}
