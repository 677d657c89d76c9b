// Package gateway holds the connections of workers. It asks foremen for tasks
// on their behalf, fairly between jobs, and brings their results back. It has
// no state worth saving: any number of gateways serve one grid, and a worker
// that loses one goes on with another.
package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/library"
	"potluck/server/schedule"
	"potluck/wire"
)

// Config says what a gateway works with.
type Config struct {
	Ledger  *ledger.Ledger
	Library *library.Library
	// Closed lets only workers in that have a runner's token.
	Closed bool
	// TaskTime and TaskOutput are the limits that workers hold tasks to.
	TaskTime   time.Duration
	TaskOutput int
	// MaxPerAddress is how many connections one address may have.
	MaxPerAddress int
	// NetworkV4 and NetworkV6 are how many bits of an address are its network:
	// volunteers of one have one vote on a task.
	NetworkV4, NetworkV6 int
	Log                  *slog.Logger
	Metrics              prometheus.Registerer
}

// A Gateway serves workers.
type Gateway struct {
	Config
	name     string
	secret   []byte
	foremen  dispatch.Client
	connects *prometheus.GaugeVec
	subs     []*nats.Subscription
	draining chan struct{}
	wait     sync.WaitGroup

	mu        sync.Mutex
	offers    map[string]*standing // by job
	changed   chan struct{}        // closed and replaced when an offer changes
	fair      schedule.Fair
	sessions  map[string]*session
	addresses map[string]int
}

// A standing offer, and what was taken of it since.
type standing struct {
	dispatch.Offer
	left int
}

// New starts a gateway.
func New(ctx context.Context, c Config) (*Gateway, error) {
	secret, err := c.Ledger.Secret(ctx)
	if err != nil {
		return nil, err
	}
	var raw [6]byte
	_, _ = rand.Read(raw[:]) // never fails
	g := &Gateway{
		Config: c, name: hex.EncodeToString(raw[:]), secret: secret,
		foremen:  dispatch.Client{Conn: c.Ledger.Conn()},
		draining: make(chan struct{}), changed: make(chan struct{}),
		offers: map[string]*standing{}, sessions: map[string]*session{}, addresses: map[string]int{},
		connects: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "potluck_workers", Help: "Workers that are connected, by engine."}, []string{"engine"}),
	}
	c.Metrics.MustRegister(g.connects)
	for _, engine := range engines {
		g.connects.WithLabelValues(engine).Set(0) // so that they are there to be seen
	}
	for subject, hear := range map[string]nats.MsgHandler{
		dispatch.SubjectOffers:          g.hearOffer,
		dispatch.SubjectForget:          g.hearForget,
		dispatch.SubjectRevoke + g.name: g.hearRevoke,
	} {
		sub, err := c.Ledger.Conn().Subscribe(subject, hear)
		if err != nil {
			return nil, err
		}
		g.subs = append(g.subs, sub)
	}
	c.Ledger.WatchReputations(g.hearReputation)
	return g, c.Ledger.Conn().Publish(dispatch.SubjectAsk, nil)
}

// Register adds what workers ask for over HTTP.
func (g *Gateway) Register(e *echo.Echo) {
	e.GET(wire.SocketPath, g.serveSocket)
	e.GET("/api/v1/work/:job/inputs/:task", g.serveInput)
	e.PUT("/api/v1/work/:job/outputs/:hash", g.takeOutput)
}

func (g *Gateway) hearOffer(m *nats.Msg) {
	var o dispatch.Offer
	if dispatch.Decode(m.Data, &o) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	old := g.offers[o.Job]
	if old != nil && (o.Epoch < old.Epoch || o.Epoch == old.Epoch && o.Version <= old.Version) {
		return
	}
	if o.Waiting < 0 {
		delete(g.offers, o.Job)
		g.fair.Forget(o.Job)
	} else {
		g.offers[o.Job] = &standing{o, o.Tasks()}
	}
	g.wake()
}

func (g *Gateway) hearRevoke(m *nats.Msg) {
	var r dispatch.Revoke
	if dispatch.Decode(m.Data, &r) != nil {
		return
	}
	g.mu.Lock()
	s := g.sessions[r.Worker]
	g.mu.Unlock()
	if s != nil {
		s.send(wire.ToWorker{Revoked: [][]byte{g.sign(lease{r.Job, r.Task}, s.person.ID)}})
	}
}

// pick chooses the job that a session should ask next: of those whose profile
// the worker has and that offer something that the session has not asked in
// vain already, the one furthest behind. It counts n tasks as taken. changed is closed when there is a reason
// to look again.
func (g *Gateway) pick(profiles []int, asked map[string]asking, n int) (o dispatch.Offer, ok bool, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	claims := make([]schedule.Claim, 0, len(g.offers))
	for job, s := range g.offers {
		if s.left > 0 && slices.Contains(profiles, max(1, s.Profile)) && !asked[job].of(s.Offer) {
			claims = append(claims, schedule.Claim{Job: job, Weight: s.Weight})
		}
	}
	i := g.fair.Pick(claims)
	if i < 0 {
		return o, false, g.changed
	}
	s := g.offers[claims[i].Job]
	s.left -= n
	g.fair.Charge(claims[i], float64(n)*float64(max(1, s.Mean)))
	return s.Offer, true, nil
}

// untake says that n tasks of an offer were not to be had by the one who asked:
// others may be luckier, and they cost the job nothing.
func (g *Gateway) untake(o dispatch.Offer, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.offers[o.Job]
	if s == nil {
		return
	}
	g.fair.Charge(schedule.Claim{Job: o.Job, Weight: o.Weight}, -float64(n)*float64(max(1, o.Mean)))
	if s.Epoch == o.Epoch && s.Version == o.Version {
		if s.left += n; s.left > 0 && s.left <= n { // it was taken for empty
			g.wake()
		}
	}
}

// wake has everybody look at the offers again. The lock is held.
func (g *Gateway) wake() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// offer gives the offer of a job: where its owner is to be found.
func (g *Gateway) offer(job string) (o dispatch.Offer, ok bool, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.offers[job]; s != nil {
		return s.Offer, true, g.changed
	}
	return o, false, g.changed
}

// why says in words why a session got nothing.
func (g *Gateway) why(volunteer string, profiles []int) string {
	if why := unreliable(g.Ledger.Reputation(volunteer), time.Now()); why != "" {
		return why
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.offers) == 0 {
		return "there is no job to work on at the moment"
	}
	other := false
	for _, s := range g.offers {
		if !slices.Contains(profiles, max(1, s.Profile)) {
			other = other || s.Waiting > 0
		} else if s.Waiting > 0 {
			return "the tasks that are left need another volunteer's opinion"
		}
	}
	if other {
		return "the tasks that are left need a newer worker than this one: take the worker that fits the server"
	}
	return "all tasks of the running jobs are being computed by others"
}

// A Worker is one connection, as the grid's page shows it.
type Worker struct {
	ID, Volunteer, Name, Engine, Platform string
	Slots                                 int
	Since                                 time.Time
	Leases                                uint64
}

// Workers lists the connections.
func (g *Gateway) Workers() []Worker {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Worker, 0, len(g.sessions))
	for _, s := range g.sessions {
		all = append(all, Worker{
			ID: s.id, Volunteer: s.person.ID, Name: s.name(), Engine: s.hello.Engine, Platform: s.hello.Platform,
			Slots: int(s.slots.Load()), Since: s.since, Leases: s.sent.Load(),
		})
	}
	return all
}

// Drain tells the workers to go elsewhere and waits for them to go. Their
// leases stay good, and so does the work on them.
func (g *Gateway) Drain(ctx context.Context) {
	g.mu.Lock()
	close(g.draining) // nobody is admitted from now on
	g.mu.Unlock()
	gone := make(chan struct{})
	go func() { g.wait.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-ctx.Done():
	}
	for _, sub := range g.subs {
		_ = sub.Unsubscribe() // it ends with the connection
	}
}

// admit counts a connection of an address, unless there are too many of them
// or the gateway is going. Who was admitted is waited for until its release.
func (g *Gateway) admit(address string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.draining:
		return errDraining
	default:
	}
	if g.addresses[address] >= g.MaxPerAddress {
		return errTooMany
	}
	g.addresses[address]++
	g.wait.Add(1)
	return nil
}

func (g *Gateway) release(address string) {
	defer g.wait.Done()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.addresses[address]--; g.addresses[address] == 0 {
		delete(g.addresses, address)
	}
}

var (
	// errTooMany answers an address with too many connections.
	errTooMany = echo.NewHTTPError(http.StatusTooManyRequests, "too many workers are connected from this address")
	// errDraining answers who comes while the gateway is going.
	errDraining = echo.NewHTTPError(http.StatusServiceUnavailable, "this server is shutting down: connect again in a moment")
)
