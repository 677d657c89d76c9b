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
	"sync/atomic"
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
	// Limit bounds the embedded store in bytes; 0 takes nine tenths of the disk,
	// of which others have a part: what is left of it is looked at before all writes.
	Limit int64
	Log   *slog.Logger
}

// A Ledger is an open store.
type Ledger struct {
	config Config
	opened time.Time
	// Server names this server; the name stays in Dir.
	Server string

	embedded *server.Server
	lock     *flock.Flock // two servers on one folder would destroy it
	conn     *nats.Conn
	js       jetstream.JetStream

	jobs, owners, modules, grid, keys, credit, conduct, aliasBucket, tokenBucket, approvals jetstream.KeyValue
	data, uploads                                                                           bucket
	puts                                                                                    jetstream.JetStream // for objects
	underway                                                                                chan struct{}       // full when no more may be on its way to the store

	table     table
	credits   credits
	people    people
	aliases   aliases
	tokens    tokenTable
	published published
	owned     owned
	uploaded  atomic.Pointer[map[string]upload] // by their names, as they were listed last
	naming    naming

	spares      chan string   // logs that no job has yet
	moreSpares  chan struct{} // some are wanted
	oldLogs     []string      // that an earlier life of this server made
	damagedLogs sync.Map      // names of those whose owner has not heard of it yet
	keeper      keeper
	failing     atomic.Bool // the last write was not answered
	unwatch     context.CancelFunc
	cancel      context.CancelFunc
	wait        sync.WaitGroup
}

// markerTTL is how long a key that is gone leaves a mark for watchers.
const markerTTL = time.Minute

// Open opens a store, making what it needs.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	l := &Ledger{config: c, opened: time.Now(), underway: make(chan struct{}, maxUnderway)}
	l.keeper.begin()
	l.uploaded.Store(&map[string]upload{})
	l.config.Replicas = max(1, c.Replicas)
	opening, cancel := context.WithTimeoutCause(ctx, openTime, errSilent)
	defer cancel()
	if err := l.open(opening); err != nil {
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
	l.people.known, l.people.passing, l.aliases.known = map[string]Reputation{}, map[string]Reputation{}, map[string]knownAlias{}
	l.published.all = map[string]Module{}
	if err := l.save(ctx); err != nil {
		return err
	}
	if err := l.watchAll(ctx, background); err != nil {
		return err
	}
	if err := l.findOldLogs(ctx); err != nil {
		return fmt.Errorf("list the logs: %w", err)
	}
	l.spares, l.moreSpares = make(chan string, spareLogs), make(chan struct{}, 1)
	l.wait.Go(func() { l.fillSpares(background) })
	l.wait.Go(func() { l.renewOwned(background) })
	l.wait.Go(func() { l.forgetOld(background) })
	if l.embedded != nil {
		l.wait.Go(func() { l.keep(background) })
	}
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
	if l.js, err = jetstream.New(l.conn, jetstream.WithDefaultTimeout(10*time.Second)); err != nil {
		return err
	}
	l.puts, err = jetstream.New(l.conn, jetstream.WithPublishAsyncTimeout(putTime))
	return err
}

func (l *Ledger) embed() (err error) {
	if l.lock, err = lockDir(l.config.Dir); err != nil {
		return err
	}
	limit, store := l.config.Limit, filepath.Join(l.config.Dir, "ledger")
	if err := l.check(store); err != nil {
		return err
	}
	if limit == 0 {
		_, size := disk(l.config.Dir)
		limit = size / 10 * 9
	}
	s, err := server.NewServer(&server.Options{
		ServerName:        "potluck-" + l.Server,
		DontListen:        true,
		JetStream:         true,
		StoreDir:          store,
		JetStreamMaxStore: limit,
		SyncAlways:        true, // the default would lose two minutes with the power
		NoSigs:            true,
	})
	if err != nil {
		return err
	}
	s.SetLoggerV2(natsLog{l.config.Log, &l.keeper.suspect}, false, false, false)
	l.embedded = s
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		return errors.New("the embedded store does not come up")
	}
	l.keeper.config = l.embeddedConfig()
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
		if full(err) {
			*b.to, err = l.js.KeyValue(ctx, b.name)
		}
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

// full says whether there was no room: then a bucket that is there will do as it is.
func full(err error) bool {
	err = sort(err)
	return errors.Is(err, ErrDisk) || errors.Is(err, ErrFull)
}

func (l *Ledger) objects(ctx context.Context, name string, expiry time.Duration) (b bucket, err error) {
	b.name = name
	b.ObjectStore, err = l.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: name, TTL: expiry, Replicas: l.config.Replicas})
	if full(err) {
		b.ObjectStore, err = l.js.ObjectStore(ctx, name)
	}
	if err == nil {
		b.stream, err = l.js.Stream(ctx, "OBJ_"+name)
	}
	if err != nil {
		return b, fmt.Errorf("object store %s: %w", name, err)
	}
	return b, nil
}

// watched is a bucket that this server has a copy of.
type watched struct {
	bucket jetstream.KeyValue
	apply  func(jetstream.KeyValueEntry)
}

// watch applies every entry of a bucket before it returns, and every change
// from then on.
func (l *Ledger) watch(ctx, background context.Context, b watched) error {
	w, err := b.bucket.WatchAll(background)
	if err != nil {
		return fmt.Errorf("watch %s: %w", b.bucket.Bucket(), err)
	}
	for {
		select {
		case e := <-w.Updates():
			if e != nil {
				b.apply(e)
				continue
			}
			l.wait.Go(func() { follow(background, w, b.apply) })
			return nil
		case <-ctx.Done():
			return fmt.Errorf("read %s: %w", b.bucket.Bucket(), context.Cause(ctx))
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

// probeTime is how long the store may take to say that it is well.
const probeTime = 5 * time.Second

// Healthy says what is wrong with the store, nil if nothing is.
func (l *Ledger) Healthy(ctx context.Context) error {
	if !l.conn.IsConnected() {
		return errors.New("the ledger is not connected to its store")
	}
	if err := l.Room(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	if l.failing.Load() { // is it still?
		return l.write(ctx, func(ctx context.Context) error {
			_, err := l.keys.Put(ctx, "probe", nil)
			return err
		})
	}
	_, err := l.js.AccountInfo(ctx)
	return sort(err)
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

// The key that leases are signed with, and its size in bytes.
const (
	leaseKey     = "lease-key"
	leaseKeySize = 32
)

// Secret gives the key that the servers of a grid share to sign leases.
func (l *Ledger) Secret(ctx context.Context) ([]byte, error) {
	key := make([]byte, leaseKeySize)
	_, _ = rand.Read(key)                                // never fails
	if e, err := l.grid.Get(ctx, leaseKey); err == nil { // also while nothing can be written
		return e.Value(), nil
	} else if !errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, sort(err)
	}
	err := l.write(ctx, func(ctx context.Context) error {
		_, err := l.grid.Create(ctx, leaseKey, key)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) {
		return l.Secret(ctx) // another server was faster
	}
	return key, err
}

// Noted gives what Once has noted for a key, or ErrNotFound.
func (l *Ledger) Noted(ctx context.Context, key string) (string, error) {
	e, err := l.keys.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return "", ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("look a key up: %w", err)
	}
	return string(e.Value()), nil
}

// Once notes that a request with a key made a job. A second request with the
// same key gets what was noted first.
func (l *Ledger) Once(ctx context.Context, key, job string) (first string, err error) {
	err = l.write(ctx, func(ctx context.Context) error {
		_, err := l.keys.Create(ctx, key, []byte(job))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) {
		e, err := l.keys.Get(ctx, key)
		if err != nil {
			return "", err
		}
		return string(e.Value()), nil
	}
	return job, err
}

// natsLog passes what the embedded server has to say on to the log.
type natsLog struct {
	*slog.Logger
	suspect *atomic.Bool // set when something is wrong
}

func (n natsLog) Noticef(f string, v ...any) { n.Debug("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Warnf(f string, v ...any)   { n.Warn("ledger", "message", fmt.Sprintf(f, v...)) }
func (n natsLog) Fatalf(f string, v ...any)  { n.Errorf(f, v...) }
func (n natsLog) Debugf(string, ...any)      {}
func (n natsLog) Tracef(string, ...any)      {}
func (n natsLog) Errorf(f string, v ...any) {
	n.suspect.Store(true)
	n.Error("ledger", "message", fmt.Sprintf(f, v...))
}

// defaultDisk is taken for the disk where the system does not tell.
const defaultDisk = 10 << 30 // bytes
