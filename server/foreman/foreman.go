// Package foreman is the shell around the scheduler. A foreman takes the jobs
// that nobody owns, and for each of them turns what gateways ask and report
// into events, makes the effects durable, tells the gateways, puts the parts
// together and finishes the job.
//
// All that a foreman knows it can build again from the job record and the
// accepted results in the ledger.
package foreman

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"potluck/sandbox"
	"potluck/server/ledger"
	"potluck/server/library"
	"potluck/server/schedule"
)

// Config says what a foreman works with.
type Config struct {
	Ledger  *ledger.Ledger
	Library *library.Library
	Pool    *sandbox.Pool
	// Scratch is a folder for results while a job runs.
	Scratch string
	// TaskTime is how long a task may compute, TaskOutput how many bytes it may write.
	TaskTime   time.Duration
	TaskOutput int
	// RefereeShare is how much of a core the server itself may spend on
	// computing tasks that volunteers disagree on.
	RefereeShare float64
	// SubmitterBytes is what a submitter may store, results included.
	SubmitterBytes int64
	// MaxJobs is how many jobs are worked on at a time; the others wait.
	MaxJobs int
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// A Foreman looks after jobs.
type Foreman struct {
	Config
	metrics metrics
	ctx     context.Context //nolint:containedctx // the foreman's own life, ended by Close
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	wake    chan struct{} // a record changed, or a job was let go
	urgent  chan struct{} // what was said of somebody must be stored at once
	telling sync.Mutex    // held while what was said is stored
	referee *referee
	remains remains
	secret  []byte // what chances are drawn from

	mu      sync.Mutex
	changed map[string]*ledger.Job // records that are not final and not looked at yet
	active  map[string]*activeJob
	said    map[string]said // by volunteer
}

// retryAfter is how long a foreman waits before it tries again to own a job.
const retryAfter = 2 * time.Second

// New starts a foreman.
func New(ctx context.Context, c Config) (*Foreman, error) {
	secret, err := c.Ledger.Secret(ctx)
	if err != nil {
		return nil, err
	}
	f := &Foreman{
		Config: c, metrics: newMetrics(c.Metrics), wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), secret: secret,
		changed: map[string]*ledger.Job{}, active: map[string]*activeJob{}, said: map[string]said{},
	}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.remains = newRemains(f)
	f.referee = newReferee(c.Pool, c.RefereeShare)
	c.Ledger.WatchReputations(f.hearReputation)
	c.Ledger.Watch(f.note)
	if err := f.remains.subscribe(); err != nil {
		f.Close()
		return nil, err
	}
	f.wait.Go(f.keepConduct)
	f.wait.Go(f.clearOld)
	f.wait.Go(f.loop)
	return f, nil
}

// note hears of every change of a record.
func (f *Foreman) note(j *ledger.Job) {
	if !leftovers(j) {
		f.remains.forget(j.ID)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.active[j.ID]; a != nil {
		a.changed(j)
		return
	}
	if j.State == "" || j.State.Final() {
		if f.changed[j.ID] != nil && j.State == ledger.Cancelled { // nobody worked on it yet
			f.wait.Go(func() { f.dropLog(j) })
		}
		delete(f.changed, j.ID)
		return
	}
	f.changed[j.ID] = j
	f.poke()
}

func (f *Foreman) dropLog(j *ledger.Job) {
	if err := f.Ledger.DeleteEmptyResults(f.ctx, j); err != nil && f.ctx.Err() == nil {
		f.Log.Warn("the empty log of a cancelled job stays until the job is deleted", "job", j.ID, "error", err)
	}
}

func (f *Foreman) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Foreman) loop() {
	retry := time.NewTicker(retryAfter)
	defer retry.Stop()
	for {
		for _, j := range f.candidates() {
			f.adopt(j)
		}
		select {
		case <-f.wake:
		case <-retry.C:
		case <-f.ctx.Done():
			return
		}
	}
}

// candidates are the jobs that nobody here works on, the oldest first, as many
// as there is room for.
func (f *Foreman) candidates() (jobs []*ledger.Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	jobs = slices.SortedFunc(maps.Values(f.changed), func(a, b *ledger.Job) int { return cmp.Compare(a.ID, b.ID) })
	return jobs[:max(0, min(f.MaxJobs-len(f.active), len(jobs)))]
}

// adopt takes a job over if nobody owns it.
func (f *Foreman) adopt(j *ledger.Job) {
	own, ok, err := f.Ledger.Own(f.ctx, j.ID)
	if err != nil {
		f.Log.Warn("cannot take a job over; trying again", "job", j.ID, "error", err)
	}
	if !ok {
		return
	}
	a := &activeJob{
		foreman: f, own: own, id: j.ID, owner: j.Owner, tasks: j.Tasks, updates: make(chan *ledger.Job, 1), log: f.Log.With("job", j.ID),
		caught: make(chan struct{}, 1), verdicts: make(chan verdict, judgedAtOnce),
	}
	f.mu.Lock()
	if current := f.changed[j.ID]; current != nil {
		j = current
	}
	delete(f.changed, j.ID)
	f.active[j.ID] = a
	f.metrics.active.Set(float64(len(f.active)))
	f.mu.Unlock()
	f.wait.Go(func() { f.work(a, j) })
}

// work looks after one job until it ends or is lost.
func (f *Foreman) work(a *activeJob, j *ledger.Job) {
	err := a.run(f.ctx, j)
	switch {
	case err == nil, f.ctx.Err() != nil:
	case errors.Is(err, ledger.ErrFenced):
		a.log.Info("another server works on this job now")
	default:
		a.log.Error("a job had to be let go; trying again", "error", err)
		a.lament(j, err)
	}
	background, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	f.Ledger.Disown(background, a.own)
	f.mu.Lock()
	delete(f.active, j.ID)
	f.metrics.active.Set(float64(len(f.active)))
	f.mu.Unlock() // the ledger holds its own lock when it calls note: never ask it while holding ours
	f.Ledger.Look(j.ID, f.keep)
}

// keep has the next tick try a job again that was let go.
func (f *Foreman) keep(j *ledger.Job) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active[j.ID] == nil && !j.State.Final() {
		f.changed[j.ID] = j
	}
}

// Close lets all jobs go, so that other servers, or this one when it is
// started again, can take them over at once.
func (f *Foreman) Close() {
	f.cancel()
	f.wait.Wait()
	f.remains.close()
}

type metrics struct {
	active   prometheus.Gauge
	verdicts *prometheus.CounterVec
	leases   prometheus.Counter
	appends  prometheus.Counter
	jobs     *prometheus.CounterVec
	partials prometheus.Counter
	judged   prometheus.Counter
	liars    prometheus.Counter
	retracts prometheus.Counter
	alarms   prometheus.Counter
}

func newMetrics(r prometheus.Registerer) metrics {
	m := metrics{
		active:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "potluck_jobs_active", Help: "Jobs that this server works on."}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "potluck_results_total", Help: "Results that volunteers sent, by what became of them."}, []string{"verdict"}),
		leases:   prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_leases_total", Help: "Copies of tasks that were lent."}),
		appends:  prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_ledger_appends_total", Help: "Batches of accepted results that were made durable."}),
		jobs:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "potluck_jobs_total", Help: "Jobs that ended, by how."}, []string{"state"}),
		partials: prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_partial_results_total", Help: "Results that were made of what there was of a running job."}),
		judged:   prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_judged_total", Help: "Tasks that the server itself was asked to compute, as the referee."}),
		liars:    prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_quarantined_total", Help: "Volunteers that were put in quarantine."}),
		retracts: prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_retracted_total", Help: "Accepted results that were taken back."}),
		alarms:   prometheus.NewCounter(prometheus.CounterOpts{Name: "potluck_alarms_total", Help: "Jobs that were put on hold because kinds of machines differ."}),
	}
	r.MustRegister(m.active, m.verdicts, m.leases, m.appends, m.jobs, m.partials, m.judged, m.liars, m.retracts, m.alarms)
	return m
}

var started = time.Now()

// clock is the time by the wall's clock as it was when this server started: it
// does not jump when that clock is set.
func clock() time.Time { return started.Add(time.Since(started)) }

// now is the same as the scheduler counts it.
func now() schedule.Time { return clock().UnixMicro() }
