package ledger

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A log is a stream for the results of one job. Making a stream takes some
// milliseconds, so a few wait ready for the jobs to come. The name of a log
// tells which server made it: R_server_id.
const (
	logPrefix = "R_"
	spareLogs = 4
)

func logSubject(name string) string { return "result." + name }

func (l *Ledger) ownLogs() string { return logPrefix + l.Server + "_" }

// makeLog makes a log, unless it is there.
func (l *Ledger) makeLog(ctx context.Context, name string) (jetstream.Stream, error) {
	var s jetstream.Stream
	err := l.write(ctx, func(ctx context.Context) (err error) {
		s, err = l.js.CreateStream(ctx, jetstream.StreamConfig{
			Name: name, Subjects: []string{logSubject(name)}, Storage: jetstream.FileStorage,
			Retention: jetstream.LimitsPolicy, DenyDelete: true, Replicas: l.config.Replicas,
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make a log: %w", err)
	}
	return s, nil
}

// takeLog gives an empty log that nobody else has.
func (l *Ledger) takeLog(ctx context.Context) (string, error) {
	select {
	case name := <-l.spares:
		if len(l.spares) <= 1 {
			l.wantSpares()
		}
		return name, nil
	default:
	}
	l.wantSpares()
	name := l.ownLogs() + NewID()
	_, err := l.makeLog(ctx, name)
	return name, err
}

// wantSpares asks for more spare logs.
func (l *Ledger) wantSpares() {
	select {
	case l.moreSpares <- struct{}{}:
	default:
	}
}

// fillSpares keeps spare logs ready. It makes them when some are wanted, and
// when a job has ended, rather than in the way of one that begins.
func (l *Ledger) fillSpares(ctx context.Context) {
	for {
		for len(l.spares) < cap(l.spares) {
			name := l.ownLogs() + NewID()
			if _, err := l.makeLog(ctx, name); err != nil {
				break // whoever needs one tries again and says why not
			}
			l.spares <- name
		}
		select {
		case <-l.moreSpares:
		case <-ctx.Done():
			return
		}
	}
}

// DeleteResults deletes the log of a job, if it has one.
func (l *Ledger) DeleteResults(ctx context.Context, j *Job) error {
	defer l.wantSpares()
	l.fresh(j.ID) // it is not any more
	return l.deleteLog(ctx, j.Log)
}

// DeleteEmptyResults deletes the log of a job if nothing is in it.
func (l *Ledger) DeleteEmptyResults(ctx context.Context, j *Job) error {
	s, err := l.js.Stream(ctx, j.Log)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the results of job %s: %w", j.ID, err)
	}
	if s.CachedInfo().State.LastSeq > 0 {
		return nil
	}
	return l.DeleteResults(ctx, j)
}

func (l *Ledger) deleteLog(ctx context.Context, name string) error {
	if name == "" {
		return nil // of a job that has lost its record
	}
	err := l.erase(ctx, func(ctx context.Context) error { return l.js.DeleteStream(ctx, name) })
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete a log: %w", err)
	}
	return nil
}

// orphanAge is how old a job without a record must be before what was stored
// for it is taken for left behind: until then somebody may be making it.
const orphanAge = 24 * time.Hour

// Sweep removes what a server left that was cut off: inputs of jobs that never
// got a record, and logs that no job has. It gives the jobs that are done and
// still have their logs.
func (l *Ledger) Sweep(ctx context.Context) (ended []*Job, err error) {
	byLog := map[string]*Job{}
	for _, j := range l.Jobs() {
		byLog[j.Log] = j
	}
	before := l.opened
	if l.embedded == nil {
		before = time.Now().Add(-orphanAge) // other servers are at work
	}
	for _, b := range []bucket{l.data, l.uploads} {
		err = errors.Join(err, l.sweepPieces(ctx, b, before))
	}
	bereft := l.bereft()
	for _, name := range l.oldLogs {
		if j := byLog[name]; j == nil {
			kept, failed := l.sweepLog(ctx, name, bereft)
			bereft, err = bereft || kept, errors.Join(err, failed)
		} else if j.State == Done {
			ended = append(ended, j)
		}
	}
	if bereft {
		l.config.Log.Warn("records of jobs were lost, so nothing is deleted that has none; what was set aside says which", "folder", filepath.Join(l.config.Dir, asideFolder))
		return ended, err
	}
	return ended, errors.Join(err, l.deleteObjects(ctx, func(object string) bool {
		id, _, _ := strings.Cut(object, ".")
		_, err := l.Job(id)
		made, ok := madeAt(id)
		return err != nil && ok && time.Since(made) > orphanAge
	}))
}

// sweepLog deletes a log that no job has, unless there are results in it: then a
// job has lost its record.
func (l *Ledger) sweepLog(ctx context.Context, name string, bereft bool) (kept bool, err error) {
	s, err := l.js.Stream(ctx, name)
	if err != nil {
		return false, fmt.Errorf("look at a log: %w", err)
	}
	if n := s.CachedInfo().State.LastSeq; n > 0 || bereft {
		l.config.Log.Warn("a log of results belongs to no job; it stays", "log", name, "messages", n)
		return true, nil
	}
	return false, l.deleteLog(ctx, name)
}

// findOldLogs notes the logs that this server made in an earlier life.
func (l *Ledger) findOldLogs(ctx context.Context) error {
	names := l.js.StreamNames(ctx, jetstream.WithStreamListSubject(logSubject("*")))
	for name := range names.Name() {
		if strings.HasPrefix(name, l.ownLogs()) {
			l.oldLogs = append(l.oldLogs, name)
		}
	}
	return names.Err()
}
