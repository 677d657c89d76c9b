// Package api is the grid over HTTP, for submitters and for the pages: what
// openapi.yaml describes. Bad input is refused at the door, with an RFC 9457
// problem that says what to do.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/nats-io/nats.go"

	"potluck/sandbox"
	"potluck/server/assemble"
	"potluck/server/dispatch"
	"potluck/server/ledger"
	"potluck/server/library"
)

// The stubs of openapi.yaml, and the Go client, are generated.
//go:generate go tool -C ../.. -modfile=scripts/tools.mod oapi-codegen -config scripts/api-server.yaml server/api/openapi.yaml
//go:generate go tool -C ../.. -modfile=scripts/tools.mod oapi-codegen -config scripts/api-client.yaml server/api/openapi.yaml

// Config says what the API works with.
type Config struct {
	Ledger  *ledger.Ledger
	Library *library.Library
	Pool    *sandbox.Pool
	// Workers lists the connections of this server.
	Workers func() []Worker
	// Scratch is a folder for results while they are sent, and for inputs while
	// they are looked at.
	Scratch string
	// TaskTime and TaskOutput are what a worker allows a task: how long it may
	// compute, and how many bytes it may write.
	TaskTime   time.Duration
	TaskOutput int
	// Open makes everybody admin who comes from this machine itself.
	Open bool
	// Anonymous lets everybody submit, within narrow bounds.
	Anonymous bool
	// SubmitterJobs and SubmitterBytes are how many jobs a submitter may have
	// that have not ended, and how many bytes they may store.
	SubmitterJobs  int
	SubmitterBytes int64
	Log            *slog.Logger
}

// An API serves the API.
type API struct {
	Config
	foremen dispatch.Client
	hub     *hub
	sub     *nats.Subscription
	ctx     context.Context //nolint:containedctx // the API's own life, ended by Close
	cancel  context.CancelFunc
	wait    sync.WaitGroup

	partials cache[partial]
	making   chan struct{} // full while as many partials are made as may be
	sending  sending
	tiles    cache[dispatch.Tiles]
	credits  cache[[]assemble.Credit]
	quota    quota
	trial    chan struct{} // full while a task is tried for a preview
}

// New starts the API.
func New(c Config) (*API, error) {
	a := &API{Config: c, foremen: dispatch.Client{Conn: c.Ledger.Conn()}, quota: newQuota(), trial: make(chan struct{}, 1), making: make(chan struct{}, makingAtOnce)}
	a.hub = newHub(a.called)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	c.Ledger.Watch(a.hub.record)
	c.Ledger.WatchAliases(a.hub.renamed)
	var err error
	a.sub, err = c.Ledger.Conn().Subscribe(dispatch.SubjectProgress, func(m *nats.Msg) {
		var p dispatch.Progress
		if dispatch.Decode(m.Data, &p) == nil {
			a.hub.progress(p)
		}
	})
	if err != nil {
		a.cancel()
		return nil, err
	}
	a.wait.Go(a.sample)
	return a, nil
}

// Register adds the API's routes.
func (a *API) Register(e *echo.Echo) {
	RegisterHandlersWithOptions(e, a, RegisterHandlersOptions{BaseURL: "/api/v1", OperationMiddlewares: a.guards()})
	e.GET("/api/*", func(c echo.Context) error {
		return refuse(http.StatusNotFound, "there is nothing at %s: docs/protocol.md lists what there is", c.Request().URL.Path)
	})
}

// Close ends the streams.
func (a *API) Close() {
	a.cancel()
	_ = a.sub.Unsubscribe() // it ends with the connection
	a.wait.Wait()
}

// sampleEvery is how often the grid's numbers are taken, once for all viewers.
const sampleEvery = time.Second

func (a *API) sample() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		a.hub.sample(a.Workers())
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return
		}
	}
}
