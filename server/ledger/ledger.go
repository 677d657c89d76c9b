// Package ledger keeps what must not be lost: job records, inputs, accepted
// results, modules and artefacts, and who owns which job. It is NATS
// JetStream, in this process with its files under a folder and no port open,
// or an external server or cluster by URL, with the same code.
//
// What it has acknowledged is on disk. docs/architecture.md says what is kept
// where, and docs/rationale.md why so.
package ledger

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says which store a ledger is.
type Config struct {
	// Dir has the files of the embedded store and of this server.
	Dir string
	// URL is an external NATS server or cluster; embedded if "".
	URL string
	// Replicas is how many servers of an external cluster keep each thing; 1 if 0.
	Replicas int
	// Limit bounds the embedded store in bytes; 0 takes nine tenths of the
	// disk that was free at the start.
	Limit int64
	Log   *slog.Logger
}

// A Ledger is an open store.
type Ledger struct {
	config Config
	// Server names this server; the name stays in Dir.
	Server string

	embedded *server.Server
	lock     *flock.Flock // two servers on one folder would destroy it
	conn     *nats.Conn
	js       jetstream.JetStream

	jobs, owners, modules, grid, keys, credit, conduct, aliasBucket, tokenBucket, approvals jetstream.KeyValue
	data, uploads                                                                           jetstream.ObjectStore

	table     table
	credits   credits
	people    people
	aliases   aliases
	tokens    tokenTable
	published published
	owned     owned

	spares     chan string   // logs that no job has yet
	moreSpares chan struct{} // some are wanted
	oldLogs    []string      // that an earlier life of this server made
	cancel     context.CancelFunc
	wait       sync.WaitGroup
}

// markerTTL is how long a key that is gone leaves a mark for watchers.
const markerTTL = time.Minute

// ErrFull says that the store has no room.
var ErrFull = errors.New("the store is full: delete jobs that are done, or give it more room")

// ErrNotFound says that the store has no such thing.
var ErrNotFound = errors.New("not found")

// Open opens a store, making what it needs.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l := &Ledger{config: c}
	l.config.Replicas = max(1, c.Replicas)
	if err := l.open(ctx); err != nil {
		l.Close()
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}

func (l *Ledger) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(l.config.Dir, 0o700); err != nil {
		return err
	}
	if l.Server, err = serverName(filepath.Join(l.config.Dir, "server-id")); err != nil {
		return err
	}
	if err := l.connect(); err != nil {
		return err
	}
	if err := l.buckets(ctx); err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.table.jobs, l.table.fresh, l.credits.tallies = map[string]*Job{}, map[string]bool{}, map[string]Tally{}
	l.tokens.all, l.tokens.touched, l.tokens.changed = map[string]*Token{}, map[string]time.Time{}, make(chan struct{})
	l.people.known, l.aliases.known = map[string]Reputation{}, map[string]knownAlias{}
	l.published.all = map[string]Module{}
	for _, w := range []struct {
		bucket jetstream.KeyValue
		apply  func(jetstream.KeyValueEntry)
	}{
		{l.jobs, l.applyEntry},
		{l.credit, l.applyTally},
		{l.tokenBucket, l.applyToken},
		{l.modules, l.applyModule},
		{l.conduct, l.applyReputation},
		{l.aliasBucket, l.applyAlias},
	} {
		if err := l.watch(ctx, background, w.bucket, w.apply); err != nil {
			return err
		}
	}
	if err := l.findOldLogs(ctx); err != nil {
		return fmt.Errorf("list the logs: %w", err)
	}
	l.spares, l.moreSpares = make(chan string, spareLogs), make(chan struct{}, 1)
	l.wait.Go(func() { l.fillSpares(background) })
	l.wait.Go(func() { l.renewOwned(background) })
	return nil
}

func serverName(file string) (string, error) {
	if b, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // never fails
	name := hex.EncodeToString(raw[:])
	return name, os.WriteFile(file, []byte(name+"\n"), 0o600)
}

func (l *Ledger) connect() (err error) {
	if l.config.URL != "" {
		l.conn, err = nats.Connect(l.config.URL, nats.Name("potluck"), nats.MaxReconnects(-1), nats.ReconnectWait(500*time.Millisecond))
		if err != nil {
			return fmt.Errorf("connect to %s: %w", l.config.URL, err)
		}
	} else if err := l.embed(); err != nil {
		return err
	}
	l.js, err = jetstream.New(l.conn, jetstream.WithDefaultTimeout(10*time.Second))
	return err
}

func (l *Ledger) embed() (err error) {
	if l.lock, err = lockDir(l.config.Dir); err != nil {
		return err
	}
	limit := l.config.Limit
	if limit == 0 {
		limit = freeDisk(l.config.Dir) / 10 * 9
	}
	s, err := server.NewServer(&server.Options{
		ServerName:        "potluck-" + l.Server,
		DontListen:        true,
		JetStream:         true,
		StoreDir:          filepath.Join(l.config.Dir, "ledger"),
		JetStreamMaxStore: limit,
		SyncAlways:        true, // the default would lose two minutes with the power
		NoSigs:            true,
	})
	if err != nil {
		return err
	}
	s.SetLoggerV2(natsLog{l.config.Log}, false, false, false)
	l.embedded = s
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("the embedded store does not come up")
	}
	l.conn, err = nats.Connect("", nats.InProcessServer(s), nats.Name("potluck"), nats.MaxReconnects(-1))
	return err
}

func lockDir(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, "lock"))
	if ok, err := lock.TryLock(); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the folder %s is in use by another server", dir), err)
	}
	return lock, nil
}

func (l *Ledger) buckets(ctx context.Context) error {
	info, err := l.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("JetStream: %w", err)
	}
	if info.API.Level < 1 || l.conn.MaxPayload() < maxMessage {
		return fmt.Errorf("%s is too old or too small: nats-server 2.11 or newer with max_payload of 1 MiB is needed", l.config.URL)
	}
	for _, b := range []struct {
		to     *jetstream.KeyValue
		name   string
		expiry time.Duration
		marker time.Duration
	}{
		{&l.jobs, "jobs", 0, markerTTL},
		{&l.owners, "lease", 0, markerTTL},
		{&l.modules, "modules", 0, 0},
		{&l.grid, "grid", 0, 0},
		{&l.credit, "credit", 0, 0},
		{&l.conduct, "reputation", 0, 0},
		{&l.aliasBucket, "aliases", 0, 0},
		{&l.keys, "idempotency", 24 * time.Hour, 0},
		{&l.tokenBucket, "tokens", 0, 0},
		{&l.approvals, "approvals", 0, 0},
	} {
		*b.to, err = l.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: b.name, History: 1, TTL: b.expiry, LimitMarkerTTL: b.marker, Replicas: l.config.Replicas,
		})
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b.name, err)
		}
	}
	if l.data, err = l.objects(ctx, "data", 0); err != nil {
		return err
	}
	l.uploads, err = l.objects(ctx, "uploads", 24*time.Hour)
	return err
}

func (l *Ledger) objects(ctx context.Context, name string, expiry time.Duration) (jetstream.ObjectStore, error) {
	s, err := l.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: name, TTL: expiry, Replicas: l.config.Replicas})
	if err != nil {
		return nil, fmt.Errorf("object store %s: %w", name, err)
	}
	return s, nil
}

// watch applies every entry of a bucket before it returns, and every change
// from then on.
func (l *Ledger) watch(ctx, background context.Context, bucket jetstream.KeyValue, apply func(jetstream.KeyValueEntry)) error {
	w, err := bucket.WatchAll(background)
	if err != nil {
		return fmt.Errorf("watch %s: %w", bucket.Bucket(), err)
	}
	for {
		select {
		case e := <-w.Updates():
			if e != nil {
				apply(e)
				continue
			}
			l.wait.Go(func() { follow(background, w, apply) })
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func follow(ctx context.Context, w jetstream.KeyWatcher, apply func(jetstream.KeyValueEntry)) {
	defer w.Stop() //nolint:errcheck // it ends with the connection
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return
			}
			if e != nil {
				apply(e)
			}
		case <-ctx.Done():
			return
		}
	}
}

// Conn carries messages between the servers of a grid.
func (l *Ledger) Conn() *nats.Conn { return l.conn }

// Healthy says what is wrong with the store, nil if nothing is.
func (l *Ledger) Healthy(ctx context.Context) error {
	if !l.conn.IsConnected() {
		return errors.New("the ledger is not connected to its store")
	}
	_, err := l.js.AccountInfo(ctx)
	return err
}

// Close closes the store; what was acknowledged is on disk already.
func (l *Ledger) Close() {
	if l.cancel != nil {
		l.cancel()
	}
	l.wait.Wait()
	if l.conn != nil {
		l.conn.Close()
	}
	if l.embedded != nil {
		l.embedded.Shutdown()
		l.embedded.WaitForShutdown()
	}
	if l.lock != nil {
		_ = l.lock.Unlock() // the end of the process does it too
	}
}

// Secret gives the key that the servers of a grid share to sign leases.
func (l *Ledger) Secret(ctx context.Context) ([]byte, error) {
	const name = "lease-key"
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	if _, err := l.grid.Create(ctx, name, key); err == nil {
		return key, nil
	} else if !errors.Is(err, jetstream.ErrKeyExists) {
		return nil, full(err)
	}
	e, err := l.grid.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return e.Value(), nil
}

// Once notes that a request with a key made a job. A second request with the
// same key gets what was noted first.
func (l *Ledger) Once(ctx context.Context, key, job string) (first string, err error) {
	_, err = l.keys.Create(ctx, key, []byte(job))
	if errors.Is(err, jetstream.ErrKeyExists) {
		e, err := l.keys.Get(ctx, key)
		if err != nil {
			return "", err
		}
		return string(e.Value()), nil
	}
	return job, full(err)
}

// The codes of JetStream's errors that mean a full store.
const (
	codeNoResources    = 10023
	codeStorageFull    = 10047
	codeStoreFailed    = 10077
	codeWrongLastSeq   = 10071
	codeWrongLastSeq2  = 10164
	codeStreamNotFound = 10059
)

// full turns JetStream's ways to say that there is no room into ErrFull.
func full(err error) error {
	if c := code(err); c == codeNoResources || c == codeStorageFull || c == codeStoreFailed {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

func code(err error) jetstream.ErrorCode {
	var js jetstream.JetStreamError
	if errors.As(err, &js) && js.APIError() != nil {
		return js.APIError().ErrorCode
	}
	return 0
}

// natsLog passes what the embedded server has to say on to the log.
type natsLog struct{ *slog.Logger }

func (n natsLog) Noticef(f string, v ...any) { n.Debug("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Warnf(f string, v ...any)   { n.Warn("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Errorf(f string, v ...any)  { n.Error("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Fatalf(f string, v ...any)  { n.Error("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Debugf(string, ...any)      {}
func (n natsLog) Tracef(string, ...any)      {}

// defaultFree is taken for the free disk where the system does not tell.
const defaultFree = 10 << 30 // bytes
