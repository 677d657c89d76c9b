package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"potluck/contract"
	"potluck/server/dispatch"
	"potluck/server/guard"
	"potluck/server/ledger"
	"potluck/server/schedule"
	"potluck/wire"
)

const (
	helloTime = 10 * time.Second // until a connection has said who it is
	pingEvery = 30 * time.Second
	// deadAfter is how long a ping may go without an answer: with the time
	// before the ping a worker is dead 90 s after its last one that was answered.
	deadAfter = 60 * time.Second
	drainTime = 10 * time.Second // for a worker to go when told to
	maxSlots  = 1024
	maxName   = 40 // characters
)

// A session is one worker's connection.
type session struct {
	gateway  *Gateway
	conn     *websocket.Conn
	id       string // gateway.number
	person   dispatch.Person
	token    string // the secret that it is trusted for, "" without one
	hello    wire.Hello
	network  uint32                       // 0 if that does not matter
	profiles []int                        // that the worker has
	alias    atomic.Pointer[ledger.Alias] // what they want to be called, until that is stored or forgotten
	since    time.Time
	slots    atomic.Int32 // as last told

	out     outbox
	backlog backlog
	credit  atomic.Uint64 // leases that the worker is ready to have got in all
	more    chan struct{} // the credit grew, or the worker has fewer leases
	caught  chan string   // the volunteer is in quarantine, and why
	sent    atomic.Uint64

	mu       sync.Mutex
	jobs     map[string]bool // those that it has, or had, leases of,
	answered map[string]bool // and those of which it has fewer since lendAll looked
}

var sessions atomic.Uint64

// serveSocket serves one worker until it goes. That browsers only come from our
// own pages, or others that were named, is seen to before.
func (g *Gateway) serveSocket(c echo.Context) error {
	address := guard.Address(c.RealIP()) // what it counts as
	if err := g.admit(address); err != nil {
		return err
	}
	defer g.release(address)
	conn, err := websocket.Accept(c.Response(), c.Request(), &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return nil //nolint:nilerr // Accept has answered
	}
	defer conn.CloseNow() //nolint:errcheck // whatever is left of it
	s := &session{
		gateway: g, conn: conn, network: g.network(c.RealIP()), since: time.Now(), more: make(chan struct{}, 1), caught: make(chan string, 1), jobs: map[string]bool{}, answered: map[string]bool{},
		id: fmt.Sprintf("%s.%d", g.name, sessions.Add(1)), out: newOutbox(),
	}
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	if refused := s.greet(ctx); refused != nil {
		s.refuse(ctx, refused)
		return nil
	}
	s.serve(ctx, cancel)
	return nil
}

// greet waits for the hello and answers it.
func (s *session) greet(ctx context.Context) *wire.Refused {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	s.conn.SetReadLimit(wire.MaxHello)
	var m wire.FromWorker
	if err := s.read(ctx, &m); err != nil || m.Hello == nil {
		return &wire.Refused{Code: wire.CodeMessage, Reason: "the first message must be a hello"}
	}
	h := *m.Hello
	trusted := s.gateway.trusts(h.Token)
	switch {
	case h.Protocol != wire.Protocol:
		return &wire.Refused{Code: wire.CodeProtocol, Reason: fmt.Sprintf("this grid speaks protocol %d, the worker %d: take the worker that fits the server", wire.Protocol, h.Protocol)}
	case !wire.SecretFits(h.Secret) || h.Slots < 1 || h.Slots > maxSlots || !nameFits(h.Name) || !nameFits(h.Team) || len(h.Profiles) > wire.MaxProfiles:
		return &wire.Refused{Code: wire.CodeMessage, Reason: fmt.Sprintf("the hello is out of bounds: a secret of %d to %d bytes, 1 to %d slots, a name and a team of at most %d characters, none of which controls or turns text around", wire.MinSecret, wire.MaxSecret, maxSlots, maxName)}
	case h.Token != "" && !trusted:
		return refusedToken
	case s.gateway.Closed && !trusted:
		return &wire.Refused{Code: wire.CodeToken, Reason: "only workers with a runner's token may compute here, and this one has none"}
	}
	s.person = dispatch.Person{ID: wire.VolunteerID(h.Secret), Trusted: trusted, Network: s.network, Kind: kindOf(h)}
	if r := s.gateway.Ledger.Reputation(s.person.ID); r.Standing == schedule.Quarantined {
		return quarantined(r.Reason)
	}
	alias := ledger.Alias{Name: strings.TrimSpace(h.Name), Team: strings.TrimSpace(h.Team)}
	s.alias.Store(&alias)
	if s.gateway.Ledger.IsKnown(s.person.ID) {
		if err := s.gateway.Ledger.Rename(ctx, s.person.ID, alias); err != nil {
			s.gateway.Log.Warn("a volunteer goes by the name they had", "error", err)
		}
	}
	s.token = h.Token
	if s.profiles = h.Profiles; len(s.profiles) == 0 {
		s.profiles = []int{1}
	}
	h.Secret, h.Token, h.Name, h.Team = nil, "", "", ""
	s.hello = h
	s.slots.Store(int32(h.Slots))
	s.credit.Store(m.Credit)
	s.conn.SetReadLimit(wire.MaxMessage)
	s.send(wire.ToWorker{Welcome: &wire.Welcome{Volunteer: s.person.ID, Worker: s.id}})
	return nil
}

// keepAlias stores what a volunteer is called: once one of their results counts,
// and not before, since anybody can make up any number of volunteers. A name that
// is stored is kept for longer.
func (s *session) keepAlias(ctx context.Context) {
	a := s.alias.Swap(nil)
	if a == nil {
		return
	}
	if stored := s.gateway.Ledger.Alias(s.person.ID); stored != (ledger.Alias{}) {
		a = &stored // another worker of theirs may have brought it
	}
	if err := s.gateway.Ledger.SetAlias(ctx, s.person.ID, *a); err != nil {
		s.alias.CompareAndSwap(nil, a)
		s.gateway.Log.Warn("the name of a volunteer waits to be stored", "error", err)
	}
}

// name is what a volunteer is called.
func (s *session) name() string {
	stored := s.gateway.Ledger.Alias(s.person.ID)
	if a := s.alias.Load(); a != nil && stored == (ledger.Alias{}) {
		return a.Name
	}
	return stored.Name
}

// hearForget has the name of a volunteer not be stored who does not want that any
// more.
func (g *Gateway) hearForget(m *nats.Msg) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.sessions {
		if s.person.ID == string(m.Data) {
			s.alias.Store(nil)
		}
	}
}

// maxKind is how many characters of an engine or a platform tell kinds of workers
// apart.
const maxKind = 32

// kindOf says what a worker computes with, in letters that strangers cannot do
// anything with.
func kindOf(h wire.Hello) string {
	plain := func(text string) string {
		text = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-", r) {
				return r
			}
			return -1
		}, text)
		return text[:min(len(text), maxKind)]
	}
	return strings.TrimSpace(plain(h.Engine) + " " + plain(h.Platform))
}

// nameFits says whether a name is one that all may see.
func nameFits(name string) bool {
	return contract.Plain(name) && utf8.RuneCountInString(name) <= maxName
}

// refuse ends a session with a reason.
func (s *session) refuse(ctx context.Context, r *wire.Refused) {
	data, err := wire.Encode(wire.ToWorker{Refused: r})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageBinary, data) == nil {
		_ = s.conn.Close(websocket.StatusPolicyViolation, r.Code) // it may be gone already
	}
}

// serve runs a session that was greeted.
func (s *session) serve(ctx context.Context, cancel context.CancelFunc) {
	g := s.gateway
	g.mu.Lock()
	g.sessions[s.id] = s
	g.mu.Unlock()
	engine := g.connects.WithLabelValues(engineLabel(s.hello.Engine))
	engine.Inc()
	g.Log.Debug("a worker came", "worker", s.id, "volunteer", s.person.ID, "slots", s.hello.Slots)
	var wait sync.WaitGroup
	for _, part := range []func(context.Context) error{s.readAll, s.writeAll, s.lendAll, s.ping} {
		wait.Go(func() {
			defer cancel() // the first to end ends all
			if err := part(ctx); err != nil && !errors.Is(err, context.Canceled) {
				g.Log.Debug("a worker's connection ended", "worker", s.id, "error", err)
			}
		})
	}
	wait.Wait()
	engine.Dec()
	g.mu.Lock()
	delete(g.sessions, s.id)
	g.mu.Unlock()
	s.giveAllBack()
}

// The engines as metrics name them.
var engines = []string{"wazero", "browser", "other"}

// engineLabel keeps what strangers say of themselves out of the metrics.
func engineLabel(engine string) string {
	if slices.Contains(engines, engine) {
		return engine
	}
	return "other"
}

// giveAllBack lets others have what a worker that went still had.
func (s *session) giveAllBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for job := range s.jobs {
		if o, ok, _ := s.gateway.offer(job); ok {
			_ = s.gateway.foremen.Return(o, dispatch.Return{Person: s.person, Worker: s.id}) // else the deadline does it
		}
	}
}

func (s *session) read(ctx context.Context, m *wire.FromWorker) error {
	kind, data, err := s.conn.Read(ctx)
	if err != nil {
		return err
	}
	if kind != websocket.MessageBinary {
		return wire.ErrMessage
	}
	return wire.Decode(data, m)
}

func (s *session) readAll(ctx context.Context) error {
	for {
		if err := s.backlog.room(ctx); err != nil {
			return err
		}
		var m wire.FromWorker
		if err := s.read(ctx, &m); err != nil {
			if errors.Is(err, wire.ErrMessage) {
				s.refuse(ctx, &wire.Refused{Code: wire.CodeMessage, Reason: err.Error()})
			}
			return err
		}
		if s.revoked(ctx) {
			return nil
		}
		if m.Credit > s.credit.Load() {
			s.credit.Store(m.Credit)
			s.poke()
		}
		if m.Slots > 0 {
			s.slots.Store(int32(min(m.Slots, maxSlots)))
		}
		s.takeResults(ctx, m.Results)
		s.takeReturns(m.Returns)
		if m.Bye {
			return nil
		}
	}
}

func (s *session) ping(ctx context.Context) error {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case why := <-s.caught:
			s.refuse(ctx, quarantined(why))
			return nil
		case <-s.gateway.draining:
			s.send(wire.ToWorker{Drain: true})
			select {
			case <-time.After(drainTime):
			case <-ctx.Done():
			}
			return nil
		}
		if s.revoked(ctx) {
			return nil
		}
		s.send(wire.ToWorker{}) // a browser's worker does not see pings
		waiting, cancel := context.WithTimeout(ctx, deadAfter)
		err := s.conn.Ping(waiting)
		cancel()
		if err != nil {
			return err
		}
	}
}
