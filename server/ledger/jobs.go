package ledger

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"potluck/contract"
	"potluck/sandbox"
)

// A State is where a job is.
type State string

// The states of a job. The last three are final, though a failed job may be
// tried again.
const (
	Running   State = "running"
	Paused    State = "paused"
	Done      State = "done"
	Failed    State = "failed"
	Cancelled State = "cancelled"
)

// Final says whether no more work is done for a job in this state.
func (s State) Final() bool { return s == Done || s == Failed || s == Cancelled }

// States are all the states.
func States() []State { return []State{Running, Paused, Done, Failed, Cancelled} }

// A Job is the durable record of a job. It must stay under 8 KiB as JSON:
// larger things are blobs and chunks.
type Job struct {
	ID       string           `json:"id"`
	Title    string           `json:"title"`
	Program  string           `json:"program,omitempty"` // name in the catalogue or of the manifest
	Module   sandbox.ID       `json:"module"`
	Profile  int              `json:"profile,omitempty"` // the module's; 0 stands for the first
	Args     []string         `json:"args,omitempty"`    // of a plain program
	Params   Blob             `json:"params"`
	Split    string           `json:"split,omitempty"`
	Collect  contract.Collect `json:"collect,omitempty"`
	Media    string           `json:"media"` // media type of the result
	Policy   string           `json:"policy"`
	Priority float64          `json:"priority"`           // a weight: twice as high gets twice the workers
	OnError  string           `json:"on_error,omitempty"` // OnErrorSkip, or "" if a task that cannot be done fails the job
	Created  time.Time        `json:"created"`
	Owner    string           `json:"owner,omitempty"` // token of who submitted it, Anonymous, or "" on an open grid

	Tasks   int    `json:"tasks"`
	Inputs  Chunks `json:"inputs"`
	Log     string `json:"log"`             // of its accepted results, while it is not done
	Largest int    `json:"largest"`         // bytes of the largest input
	Bytes   int64  `json:"bytes,omitempty"` // of all inputs

	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"`  // why it failed, or is on hold
	Damaged  bool      `json:"damaged,omitempty"` // its record was lost to the disk, and this one stands for it
	Alarm    bool      `json:"alarm,omitempty"`   // it is paused until an admin decides on a difference of kinds of machines
	Decided  bool      `json:"decided,omitempty"` // an admin has decided, and the referee is right
	Finished time.Time `json:"finished,omitzero"`
	Done     int       `json:"done,omitempty"`    // accepted results, once the job is final
	Skipped  int       `json:"skipped,omitempty"` // tasks that were left out, likewise
	Skips    Blob      `json:"skips,omitzero"`    // the first of them, as JSON
	Mean     int64     `json:"mean,omitempty"`    // microseconds of computing a task took, likewise
	Failures Blob      `json:"failures,omitzero"` // the last failed tries, as JSON, if the job failed
	Result   Blob      `json:"result,omitzero"`   // the artefact
	Records  Chunks    `json:"records,omitzero"`  // who computed what, once the job is done
	Kept     int64     `json:"kept,omitempty"`    // bytes of the records, or of the results that a failed job has for a retry

	revision uint64
}

// OnErrorSkip has tasks that cannot be done be left out of the result.
const OnErrorSkip = "skip"

// Anonymous owns the jobs of those who have no token.
const Anonymous = "anonymous"

// NewID makes a name for a job: later ones sort after earlier ones.
func NewID() string {
	var raw [10]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(time.Now().UnixNano()))
	_, _ = rand.Read(raw[8:]) // never fails
	return strings.ToLower(base32.HexEncoding.EncodeToString(raw[:]))
}

// madeAt is when an id was made; ok is false if it is no id.
func madeAt(id string) (at time.Time, ok bool) {
	raw, err := base32.HexEncoding.DecodeString(strings.ToUpper(id))
	if err != nil || len(raw) != 10 {
		return at, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(raw))), true
}

const maxRecord = 8 << 10

// table is every job record of the grid, kept current by one watcher.
type table struct {
	mu       sync.Mutex
	jobs     map[string]*Job
	fresh    map[string]bool // made here, and their results were never opened
	watchers []func(*Job)
}

// applyEntry takes an entry of the watcher.
func (l *Ledger) applyEntry(e jetstream.KeyValueEntry) {
	j := &Job{ID: e.Key(), revision: e.Revision()}
	if e.Operation() == jetstream.KeyValuePut {
		if err := json.Unmarshal(e.Value(), j); err != nil {
			l.config.Log.Error("a job record is damaged", "job", e.Key(), "error", err)
			return
		}
	}
	l.apply(j)
}

// apply takes a record into the table, unless a newer one is there; a record
// without a state says that the job was deleted. Watchers hear of it in order.
func (l *Ledger) apply(j *Job) {
	t := &l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if old := t.jobs[j.ID]; old != nil && old.revision >= j.revision {
		return
	}
	if j.State == "" {
		if _, known := t.jobs[j.ID]; !known {
			return
		}
		delete(t.jobs, j.ID)
	} else {
		t.jobs[j.ID] = j
	}
	for _, watch := range t.watchers {
		watch(j)
	}
}

// Watch calls f with every job there is, and then with every change; a job
// without a state was deleted. f must neither block nor change the job.
func (l *Ledger) Watch(f func(*Job)) {
	t := &l.table
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watchers = append(t.watchers, f)
	for _, j := range t.sorted() {
		f(j)
	}
}

// Look calls f with a job as it is, if it is known, in one order with what
// watchers hear. f must neither block nor change the job.
func (l *Ledger) Look(id string, f func(*Job)) {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if j := l.table.jobs[id]; j != nil {
		f(j)
	}
}

// Job gives the record of a job, or ErrNotFound. It must not be changed.
func (l *Ledger) Job(id string) (*Job, error) {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	if j := l.table.jobs[id]; j != nil {
		return j, nil
	}
	return nil, fmt.Errorf("job %q: %w", id, ErrNotFound)
}

// Jobs gives all records, the newest first.
func (l *Ledger) Jobs() []*Job {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.table.sorted()
}

func (t *table) sorted() []*Job {
	all := make([]*Job, 0, len(t.jobs))
	for _, j := range t.jobs {
		all = append(all, j)
	}
	slices.SortFunc(all, func(a, b *Job) int { return cmp.Compare(b.ID, a.ID) })
	return all
}

// ErrExists says that a job was made by somebody else meanwhile.
var ErrExists = errors.New("there is such a job already")

// CreateJob stores a new record, or gives ErrExists. Once it returns the job
// survives anything.
func (l *Ledger) CreateJob(ctx context.Context, j *Job) (err error) {
	if j.Log, err = l.takeLog(ctx); err != nil {
		return err
	}
	data, err := j.encode()
	if err == nil {
		err = l.write(ctx, func(ctx context.Context) (err error) {
			j.revision, err = l.jobs.Create(ctx, j.ID, data)
			return err
		})
	}
	if errors.Is(err, ErrStore) {
		return fmt.Errorf("store the job: %w", err) // it may have arrived
	}
	if err != nil {
		_ = l.deleteLog(context.WithoutCancel(ctx), j.Log) // else Sweep does
		if errors.Is(err, jetstream.ErrKeyExists) {
			return ErrExists
		}
		return fmt.Errorf("store the job: %w", err)
	}
	l.table.mu.Lock()
	l.table.fresh[j.ID] = true
	l.table.mu.Unlock()
	l.apply(j)
	return nil
}

// IsFresh says whether this server has made the job and nobody has worked on it.
func (l *Ledger) IsFresh(id string) bool {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.table.fresh[id]
}

// fresh says, once, that this server has just made the job and its log is
// very likely empty. Were it not, the first append would be fenced, and the
// next owner would look.
func (l *Ledger) fresh(id string) bool {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	fresh := l.table.fresh[id]
	delete(l.table.fresh, id)
	return fresh
}

func (j *Job) encode() ([]byte, error) {
	data, err := json.Marshal(j)
	if err == nil && len(data) > maxRecord {
		err = fmt.Errorf("the record of the job has %d bytes; at most %d fit: use fewer or shorter arguments", len(data), maxRecord)
	}
	return data, err
}

// UpdateJob changes a record: change is called with a copy of the current one,
// again if somebody else was faster, and may refuse with an error.
func (l *Ledger) UpdateJob(ctx context.Context, id string, change func(*Job) error) (*Job, error) {
	current, err := l.Job(id)
	if err != nil {
		return nil, err
	}
	for {
		next := *current
		if err := change(&next); err != nil {
			return nil, err
		}
		data, err := next.encode()
		if err != nil {
			return nil, err
		}
		err = l.erase(ctx, func(ctx context.Context) (err error) { // it may be what ends the job, and makes room
			next.revision, err = l.jobs.Update(ctx, id, data, current.revision)
			return err
		})
		if err == nil {
			l.apply(&next)
			return &next, nil
		}
		if c := code(err); c != codeWrongLastSeq && c != codeWrongLastSeq2 {
			return nil, fmt.Errorf("store the change of job %s: %w", id, err)
		}
		if current, err = l.ReadJob(ctx, id); err != nil {
			return nil, err
		}
	}
}

// ReadJob reads the record of a job from the store: Job may not have heard yet
// of what another server has just made.
func (l *Ledger) ReadJob(ctx context.Context, id string) (*Job, error) {
	e, err := l.jobs.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("job %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return nil, sort(err)
	}
	j := &Job{revision: e.Revision()}
	if err := json.Unmarshal(e.Value(), j); err != nil {
		return nil, err
	}
	return j, nil
}

// Discard removes what was stored under a prefix for a job that did not come
// to be.
func (l *Ledger) Discard(ctx context.Context, prefix string) error {
	return l.deleteObjects(ctx, under(prefix))
}

// DeleteJob removes a job and all that it has, the record last: after a crash
// half-way the next call does the rest. It needs no room to begin with.
func (l *Ledger) DeleteJob(ctx context.Context, id string) error {
	j, err := l.Job(id)
	if err != nil {
		return err
	}
	if err := l.DeleteResults(ctx, j); err != nil {
		return err
	}
	if err := l.deleteObjects(ctx, under(id)); err != nil {
		return err
	}
	err = l.erase(ctx, func(ctx context.Context) error { return l.jobs.Purge(ctx, id, jetstream.PurgeTTL(markerTTL)) })
	if err != nil {
		return fmt.Errorf("delete job %s: %w", id, err)
	}
	l.apply(&Job{ID: id, revision: j.revision + 1})
	return nil
}
