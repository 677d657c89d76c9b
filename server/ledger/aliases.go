package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// An Alias is what a volunteer wants to be called, and his team. It is kept here and nowhere
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
}

// Alias gives what a volunteer is called; the zero one if he did not say.
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

// SetAlias stores what a volunteer wants to be called from now on, the zero
// alias to be called nothing: it takes the old one's place on disk. Once it
// returns this server knows, and the others do in a moment.
func (l *Ledger) SetAlias(ctx context.Context, volunteer string, a Alias) error {
	if l.Alias(volunteer) == a {
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
	l.applyAliasOf(volunteer, knownAlias{a, revision})
	return nil
}

// applyAlias takes an entry of the watcher.
func (l *Ledger) applyAlias(e jetstream.KeyValueEntry) {
	k := knownAlias{revision: e.Revision()}
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
