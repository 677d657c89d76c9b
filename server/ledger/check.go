package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/server/ledger/blocks"
)

// Before the embedded store is opened its files are looked at: those of the
// buckets and of the jobs' logs here, objects when they are read. A damaged bucket
// is set aside, whole, and what can still be read of it goes into a new one.

// asideFolder, in the data folder, has what was set aside. While a bucket of jobs
// is there, nothing is swept for lack of a record.
const asideFolder = "damaged"

// unsavedFile, in a bucket that was set aside, says that what can be read of it
// is not in the new one yet.
const unsavedFile = "unsaved"

// vital are the buckets that no server may begin without, and why.
var vital = map[string]string{
	"tokens": "whose tokens are good, and which were revoked",
	"grid":   "the secret that signs leases, and tells volunteers from one another",
}

// passing are the buckets whose content is not worth saving: it would be taken for new.
var passing = []string{"idempotency", "lease"}

// check looks at the buckets of the embedded store. It fails if one is damaged
// that must not be, and sets the others aside that are.
func (l *Ledger) check(store string) error {
	dirs, err := bucketsOf(store)
	if err != nil {
		return err
	}
	var refused error
	for _, dir := range dirs {
		bucket := bucketOf(dir)
		s, err := readBucket(dir)
		switch {
		case err != nil:
			return fmt.Errorf("look at %s: %w", dir, err)
		case s.Damage == "":
		case vital[bucket] != "":
			refused = errors.Join(refused, fmt.Errorf("%s is damaged (%s): it says %s. Nothing was changed. "+
				"Bring a backup back with potluck restore, or remove that folder to begin without what was in it; docs/operations.md says what that means",
				dir, s.Damage, vital[bucket]))
		default:
			if err := l.setAside(dir, bucket, s.Damage); err != nil {
				return err
			}
		}
	}
	return errors.Join(refused, l.checkLogs(store))
}

// checkLogs has the store look at every message of a damaged log, and cut it off
// there: by its index it would believe what is damaged, and take the memory of the
// machine for the messages up to a number that is none.
func (l *Ledger) checkLogs(store string) error {
	dirs, err := filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", logPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		s, err := blocks.Read(dir)
		if err == nil && s.Damage != "" {
			l.config.Log.Error("the log of a job is damaged; what can be read of it counts", "log", dir, "damage", s.Damage)
			l.damagedLogs.Store(filepath.Base(dir), true)
			if err = os.Remove(filepath.Join(dir, "msgs", "index.db")); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
	}
	return nil
}

// bucketsOf lists the folders of a store's buckets.
func bucketsOf(store string) ([]string, error) {
	return filepath.Glob(filepath.Join(store, "jetstream", "*", "streams", "KV_*"))
}

func bucketOf(dir string) string { return strings.TrimPrefix(filepath.Base(dir), "KV_") }

// readBucket reads the files of a bucket. The checksum of a message does not
// cover where its subject ends, so what was written must make sense too.
func readBucket(dir string) (*blocks.Stream, error) {
	bucket := bucketOf(dir)
	s, err := blocks.Read(dir)
	if err != nil {
		return nil, err
	}
	for subject, m := range s.Latest {
		if sensible(bucket, subject, m) {
			continue
		}
		delete(s.Latest, subject)
		s.Lost = append(s.Lost, subject)
		if s.Damage == "" {
			s.Damage = fmt.Sprintf("message %d makes no sense", m.Seq)
		}
	}
	return s, nil
}

func sensible(bucket, subject string, m blocks.Message) bool {
	key, ok := strings.CutPrefix(subject, "$KV."+bucket+".")
	switch {
	case !ok || key == "":
		return false
	case deleted(m) || slices.Contains(passing, bucket):
		return true
	case bucket == "grid":
		return key == leaseKey && len(m.Data) == leaseKeySize
	}
	return json.Valid(m.Data)
}

// deleted says whether a message is the mark of a key that is gone.
func deleted(m blocks.Message) bool {
	return strings.Contains(string(m.Header), "KV-Operation:") || strings.Contains(string(m.Header), "Nats-Marker-Reason:")
}

// setAside moves the files of a bucket out of the store.
func (l *Ledger) setAside(dir, bucket, damage string) error {
	aside := filepath.Join(l.config.Dir, asideFolder, filepath.Base(dir)+"-"+time.Now().UTC().Format("20060102T150405.000"), filepath.Base(dir))
	err := os.MkdirAll(filepath.Dir(aside), 0o700)
	if err == nil && !slices.Contains(passing, bucket) {
		err = os.WriteFile(filepath.Join(filepath.Dir(aside), unsavedFile), nil, 0o600)
	}
	if err == nil {
		err = os.Rename(dir, aside)
	}
	if err != nil {
		return fmt.Errorf("set %s aside: %w", dir, err)
	}
	l.config.Log.Error("a part of the store is damaged; it was set aside, and what can be read of it is kept", "bucket", bucket, "damage", damage, "aside", aside)
	return nil
}

// save puts what can be read of the buckets that were set aside into the new
// ones. It may be done again after a crash: what is there already stays.
func (l *Ledger) save(ctx context.Context) error {
	unsaved, err := filepath.Glob(filepath.Join(l.config.Dir, asideFolder, "*", unsavedFile))
	if err != nil {
		return err
	}
	for _, file := range unsaved {
		dirs, err := filepath.Glob(filepath.Join(filepath.Dir(file), "KV_*"))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if err := l.saveBucket(ctx, dir); err != nil {
				return fmt.Errorf("save what can be read of %s: %w", dir, err)
			}
		}
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) saveBucket(ctx context.Context, dir string) error {
	name := bucketOf(dir)
	s, err := readBucket(dir)
	if err != nil {
		return err
	}
	bucket, err := l.js.KeyValue(ctx, name)
	if err != nil {
		return err
	}
	prefix, saved := "$KV."+name+".", 0
	for subject, m := range s.Latest {
		key, ok := strings.CutPrefix(subject, prefix)
		if !ok || deleted(m) {
			continue
		}
		if _, err := bucket.Create(ctx, key, m.Data); err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
		saved++
	}
	l.config.Log.Warn("what can be read of a damaged part of the store was saved", "bucket", name, "saved", saved, "lost", len(s.Lost))
	if name != l.jobs.Bucket() {
		return nil
	}
	lost := map[string]bool{}
	for _, subject := range s.Lost {
		if id, ok := strings.CutPrefix(subject, prefix); ok {
			lost[id] = true
		}
	}
	return l.mournJobs(ctx, lost)
}

// mournJobs makes records for jobs whose own are lost: those that are known by
// name, and those that have objects.
func (l *Ledger) mournJobs(ctx context.Context, lost map[string]bool) error {
	names, err := l.data.names(ctx)
	if err != nil {
		return fmt.Errorf("list objects: %w", err)
	}
	for _, name := range names {
		id, _, _ := strings.Cut(name, ".")
		if _, ok := madeAt(id); ok {
			lost[id] = true
		}
	}
	for id := range lost {
		made, ok := madeAt(id)
		if !ok {
			continue
		}
		j := &Job{
			ID: id, Title: "job " + id, Policy: "trusted", Priority: 1, Media: "application/octet-stream", Created: made.UTC(),
			State: Failed, Damaged: true, Finished: time.Now().UTC(),
			Reason: "the record of this job was damaged on the server's disk: submit it again, or have the server's owner bring a backup back",
		}
		data, err := j.encode()
		if err == nil {
			_, err = l.jobs.Create(ctx, id, data)
		}
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
			return err
		}
		if err == nil {
			l.config.Log.Error("the record of a job is lost; it is shown as damaged", "job", id)
		}
	}
	return nil
}

// bereft says whether records of jobs were lost: then one that is missing is no
// reason to delete anything.
func (l *Ledger) bereft() bool {
	aside, err := filepath.Glob(filepath.Join(l.config.Dir, asideFolder, "KV_jobs-*"))
	return len(aside) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist)
}
