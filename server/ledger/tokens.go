package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Role is what the holder of a token may do.
type Role string

// The roles.
const (
	RoleAdmin     Role = "admin"     // everything
	RoleSubmitter Role = "submitter" // submit jobs, and change their own
	RoleRunner    Role = "runner"    // compute, as a worker that the grid's owner trusts
)

// Roles are all the roles.
func Roles() []Role { return []Role{RoleAdmin, RoleSubmitter, RoleRunner} }

// TokenPrefix starts every token, so that people and scanners know one when
// they see it.
const TokenPrefix = "potluck_"

// A Token is the record of a token. The token itself is nowhere but with its
// holder.
type Token struct {
	ID      string    `json:"id"`
	Role    Role      `json:"role"`
	Name    string    `json:"name,omitempty"`
	Hash    []byte    `json:"hash"` // SHA-256 of the whole token
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
	Used    time.Time `json:"used,omitzero"` // to the hour

	revision uint64
}

// Expired says whether a token is good no more.
func (t *Token) Expired() bool { return !t.Expires.IsZero() && time.Now().After(t.Expires) }

// NewToken makes a token, potluck_ID_SECRET, and its record, which is not
// stored yet. The secret has more than 128 random bits.
func NewToken(role Role, name string, expires time.Time) (string, *Token) {
	var raw [4]byte
	_, _ = rand.Read(raw[:]) // never fails
	id := hex.EncodeToString(raw[:])
	token := TokenPrefix + id + "_" + rand.Text()
	hash := sha256.Sum256([]byte(token))
	return token, &Token{ID: id, Role: role, Name: name, Hash: hash[:], Created: time.Now().UTC().Truncate(time.Second), Expires: expires}
}

// tokenTable is every token of the grid. Only its watcher writes to it, so that
// a token that was revoked cannot come back by an older write.
type tokenTable struct {
	mu      sync.Mutex
	all     map[string]*Token
	touched map[string]time.Time // when a use was noted last
	changed chan struct{}        // closed and replaced with every change
}

// applyToken takes an entry of the watcher.
func (l *Ledger) applyToken(e jetstream.KeyValueEntry) {
	t := &Token{revision: e.Revision()}
	put := e.Operation() == jetstream.KeyValuePut
	if put {
		if err := json.Unmarshal(e.Value(), t); err != nil {
			l.config.Log.Error("the record of a token is damaged; it is taken as revoked", "token", e.Key(), "error", err)
			put = false
		}
	}
	table := &l.tokens
	table.mu.Lock()
	defer table.mu.Unlock()
	if put {
		table.all[e.Key()] = t
	} else {
		delete(table.all, e.Key())
		delete(table.touched, e.Key())
	}
	close(table.changed)
	table.changed = make(chan struct{})
}

// awaitToken waits until the table of this server is as wanted.
func (l *Ledger) awaitToken(ctx context.Context, id string, there bool) error {
	for {
		l.tokens.mu.Lock()
		is, changed := l.tokens.all[id] != nil, l.tokens.changed
		l.tokens.mu.Unlock()
		if is == there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AddToken stores the record of a new token. Once it returns, this server
// knows it, and the others do in a moment.
func (l *Ledger) AddToken(ctx context.Context, t *Token) error {
	data, err := json.Marshal(t)
	if err == nil {
		err = l.write(ctx, func(ctx context.Context) error {
			_, err := l.tokenBucket.Create(ctx, t.ID, data)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store the token: %w", err)
	}
	return l.awaitToken(ctx, t.ID, true)
}

// RevokeToken ends a token, or gives ErrNotFound. Once it returns, this server
// takes it no more, and the others do not in a moment.
func (l *Ledger) RevokeToken(ctx context.Context, id string) error {
	if l.Token(id) == nil {
		return fmt.Errorf("token %q: %w", id, ErrNotFound)
	}
	// The mark that it leaves stays: a server that was away for long must hear of it too.
	if err := l.erase(ctx, func(ctx context.Context) error { return l.tokenBucket.Purge(ctx, id) }); err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	return l.awaitToken(ctx, id, false)
}

// Token gives the record of a token, expired ones too; nil if there is none.
// It must not be changed.
func (l *Ledger) Token(id string) *Token {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	return l.tokens.all[id]
}

// Tokens gives all records, the oldest first.
func (l *Ledger) Tokens() []*Token {
	l.tokens.mu.Lock()
	defer l.tokens.mu.Unlock()
	all := make([]*Token, 0, len(l.tokens.all))
	for _, t := range l.tokens.all {
		all = append(all, t)
	}
	slices.SortFunc(all, func(a, b *Token) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return all
}

// ErrToken says that a token is not one of this grid's.
var ErrToken = errors.New("this token is not known here: it is mistyped, or was revoked")

// ErrExpired says that a token was good once.
var ErrExpired = errors.New("this token has expired")

// CheckToken gives the record of a token that is good now, else ErrToken or
// ErrExpired.
func (l *Ledger) CheckToken(token string) (*Token, error) {
	rest, ok := strings.CutPrefix(token, TokenPrefix)
	id, _, _ := strings.Cut(rest, "_")
	t := l.Token(id)
	hash := sha256.Sum256([]byte(token))
	if !ok || t == nil || subtle.ConstantTimeCompare(hash[:], t.Hash) != 1 {
		return nil, ErrToken
	}
	if t.Expired() {
		return nil, ErrExpired
	}
	return t, nil
}

// usedEvery is how exactly the last use of a token is known.
const usedEvery = time.Hour

// TouchToken notes that a token was used, at most once an hour.
func (l *Ledger) TouchToken(ctx context.Context, t *Token) error {
	now := time.Now().UTC().Truncate(time.Second)
	l.tokens.mu.Lock()
	noted := now.Sub(t.Used) < usedEvery || now.Sub(l.tokens.touched[t.ID]) < usedEvery
	if !noted {
		l.tokens.touched[t.ID] = now
	}
	l.tokens.mu.Unlock()
	if noted {
		return nil
	}
	used := *t
	used.Used = now
	data, err := json.Marshal(used)
	if err == nil {
		err = l.write(ctx, func(ctx context.Context) error {
			_, err := l.tokenBucket.Update(ctx, t.ID, data, t.revision)
			return err
		})
	}
	if c := code(err); c == codeWrongLastSeq || c == codeWrongLastSeq2 {
		return nil // another server noted it, or it was revoked meanwhile
	}
	return err
}
