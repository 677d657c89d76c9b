// Package app puts a server together: from its configuration to a running
// server, and back to nothing.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/shelf"
	"potluck/server/api"
	"potluck/server/foreman"
	"potluck/server/gateway"
	"potluck/server/guard"
	"potluck/server/ledger"
	"potluck/server/library"
	"potluck/tasks"
)

// Config is a server's configuration. Its tags make the flags, the environment
// variables and the defaults.
type Config struct {
	Addr           string        `help:"Address to listen on." default:"127.0.0.1:8080" env:"POTLUCK_ADDR"`
	URL            string        `help:"Address that people and workers use, like https://grid.example; the server answers to its name." name:"url" env:"POTLUCK_URL"`
	Hosts          []string      `help:"Further name that the server answers to, like grid.lan; may be given several times." name:"host" env:"POTLUCK_HOST"`
	Data           string        `help:"Folder for everything that must be kept." default:"potluck-data" env:"POTLUCK_DATA" type:"path"`
	NATS           string        `help:"URL of an external NATS server or cluster with JetStream; embedded if empty." name:"nats" env:"POTLUCK_NATS"`
	NATSReplicas   int           `help:"Copies that an external cluster keeps of each thing." name:"nats-replicas" default:"1" env:"POTLUCK_NATS_REPLICAS"`
	StoreLimit     int64         `help:"Bytes that the embedded store may use; 0 is nine tenths of the disk." default:"0" env:"POTLUCK_STORE_LIMIT"`
	Closed         bool          `help:"Let only workers with a runner's token compute; without it everybody may lend a hand." env:"POTLUCK_CLOSED"`
	Anonymous      bool          `help:"Let everybody submit a job of a built-in or approved program; --anonymous=false lets only those with a token." default:"true" env:"POTLUCK_ANONYMOUS"`
	SubmitterJobs  int           `help:"Jobs that a submitter may have that have not ended." default:"20" env:"POTLUCK_SUBMITTER_JOBS"`
	SubmitterBytes int64         `help:"Bytes of inputs, modules and results that a submitter may store, and all without a token together." default:"4294967296" env:"POTLUCK_SUBMITTER_BYTES"`
	TaskTime       time.Duration `help:"How long one task may compute." default:"60s" env:"POTLUCK_TASK_TIME"`
	TaskOutput     int           `help:"Bytes that one task may write." default:"16777216" env:"POTLUCK_TASK_OUTPUT"`
	TaskMemory     int           `help:"Bytes of memory that a program may use." default:"536870912" env:"POTLUCK_TASK_MEMORY"`
	StageMemory    int           `help:"The same for reduce and render, which the server itself runs; 0 is --task-memory." default:"0" env:"POTLUCK_STAGE_MEMORY"`
	Executors      int           `help:"Programs that the server itself runs at a time, to split, reduce and render; 0 is half the cores. One more runs what takes no more than 10 s." default:"0" env:"POTLUCK_EXECUTORS"`
	RefereeShare   float64       `help:"How much of a core the server itself may spend on tasks that volunteers disagree on, or that nobody else can confirm; from 0.01 to 1." default:"0.5" env:"POTLUCK_REFEREE_SHARE"`
	NetworkV4      int           `help:"How many bits of an IPv4 address are its network, from 8 to 32: volunteers of one have one vote on a task." name:"network-v4" default:"24" env:"POTLUCK_NETWORK_V4"`
	NetworkV6      int           `help:"The same for IPv6, from 16 to 128." name:"network-v6" default:"48" env:"POTLUCK_NETWORK_V6"`
	MaxJobs        int           `help:"Jobs worked on at a time; the others wait." default:"1000" env:"POTLUCK_MAX_JOBS"`
	MaxPerAddress  int           `help:"Workers that may be connected from one address." default:"64" env:"POTLUCK_MAX_PER_ADDRESS"`
	Origins        []string      `help:"Origins of other sites whose pages may use this grid, like https://grid.example." name:"origin" env:"POTLUCK_ORIGIN"`
	BehindProxy    bool          `help:"Take addresses from X-Forwarded-For: only behind a proxy that sets it." env:"POTLUCK_BEHIND_PROXY"`
	LogLevel       slog.Level    `help:"What to log: debug, info, warn or error." default:"info" env:"POTLUCK_LOG_LEVEL"`
}

// Validate says what is wrong with a configuration.
func (c *Config) Validate() error {
	switch {
	case c.TaskTime < time.Second:
		return errors.New("--task-time: tasks need at least a second")
	case c.TaskOutput < 1<<10 || c.TaskOutput > 64<<20:
		return errors.New("--task-output is from 1 KiB to 64 MiB")
	case c.TaskMemory < 1<<20 || c.TaskMemory > 2<<30 || c.TaskMemory&(c.TaskMemory-1) != 0:
		return errors.New("--task-memory is a power of two, from 1 MiB to 2 GiB: modules are written for it, and should be the same on many grids")
	case c.StageMemory != 0 && (c.StageMemory < c.TaskMemory || c.StageMemory > 2<<30 || c.StageMemory&(c.StageMemory-1) != 0):
		return errors.New("--stage-memory is a power of two, from what --task-memory is to 2 GiB")
	case c.RefereeShare < 0.01 || c.RefereeShare > 1:
		return errors.New("--referee-share is from 0.01 to 1")
	case c.NetworkV4 < 8 || c.NetworkV4 > 32 || c.NetworkV6 < 16 || c.NetworkV6 > 128:
		return errors.New("--network-v4 is from 8 to 32 bits, --network-v6 from 16 to 128")
	case c.MaxJobs < 1 || c.MaxPerAddress < 1:
		return errors.New("--max-jobs and --max-per-address are at least 1")
	case c.SubmitterJobs < 1 || c.SubmitterBytes < 1:
		return errors.New("--submitter-jobs and --submitter-bytes are at least 1")
	}
	for _, origin := range c.Origins {
		if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
			return fmt.Errorf("--origin is like https://grid.example: %w", err)
		}
	}
	return c.checkNames()
}

// An App is a running server.
type App struct {
	URL string

	log      *slog.Logger
	ledger   *ledger.Ledger
	pool     *sandbox.Pool
	foreman  *foreman.Foreman
	gateway  *gateway.Gateway
	api      *api.API
	server   *http.Server
	listener net.Listener
	served   chan error
	requests sync.RWMutex // read-locked by each that is under way
	closed   sync.Once
}

// Start starts a server. It is ready when Start returns.
func Start(ctx context.Context, c Config, log *slog.Logger) (*App, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: guard.Veil(log), served: make(chan error, 1)}
	if err := a.start(ctx, c); err != nil {
		a.Close(ctx)
		return nil, err
	}
	return a, nil
}

func (a *App) start(ctx context.Context, c Config) (err error) {
	scratch := filepath.Join(c.Data, "scratch")
	if err := errors.Join(os.MkdirAll(c.Data, 0o700), os.RemoveAll(scratch), os.MkdirAll(scratch, 0o700)); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if a.listener, err = net.Listen("tcp", c.Addr); err != nil { //nolint:noctx // it does not wait
		return err
	}
	a.ledger, err = ledger.Open(ctx, ledger.Config{
		Dir: c.Data, URL: c.NATS, Replicas: c.NATSReplicas, Limit: c.StoreLimit, Log: a.log,
	})
	if err != nil {
		return err
	}
	open := isOpen(c, a.listener)
	if !open {
		if err := a.firstAdmin(ctx, c.Data); err != nil {
			return err
		}
	}
	cache := shelf.Cache{Dir: filepath.Join(c.Data, "cache"), Limit: shelf.DefaultLimit}
	if err := cache.Trim(); err != nil {
		a.log.Warn("the cache could not be made smaller", "error", err)
	}
	notice := shelf.Notice(func(what, why string) {
		a.log.Warn("the cache has trouble, and the server goes on", "trouble", what, "reason", why)
	}).Once()
	engine := process.Config{Cache: cache.CodeDir(), Notice: notice}.Spawn
	a.pool = sandbox.NewPool(poolSize(c.Executors), engine)
	builtins, err := catalogue()
	if err != nil {
		a.log.Warn("this server has no programs of its own", "reason", err)
	}
	lib, err := library.New(library.Config{
		Ledger: a.ledger, Pool: a.pool, Engine: engine, Other: process.Config{Interpreter: true}.Spawn, Memory: c.TaskMemory, StageMemory: c.StageMemory, Builtins: builtins,
		Shelf: shelf.New(cache.ModulesDir(), notice), Cache: cache,
	})
	if err != nil {
		return err
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.gateway, err = gateway.New(ctx, gateway.Config{
		Ledger: a.ledger, Library: lib, Closed: c.Closed, TaskTime: c.TaskTime, TaskOutput: c.TaskOutput,
		MaxPerAddress: c.MaxPerAddress, NetworkV4: c.NetworkV4, NetworkV6: c.NetworkV6, Log: a.log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	a.api, err = api.New(api.Config{
		Ledger: a.ledger, Library: lib, Pool: a.pool, Workers: a.workers, Scratch: scratch,
		TaskTime: c.TaskTime, TaskOutput: c.TaskOutput, Log: a.log,
		Open: open, Anonymous: c.Anonymous, SubmitterJobs: c.SubmitterJobs, SubmitterBytes: c.SubmitterBytes,
	})
	if err != nil {
		return err
	}
	a.foreman, err = foreman.New(ctx, foreman.Config{
		Ledger: a.ledger, Library: lib, Pool: a.pool, Scratch: scratch, TaskTime: c.TaskTime, TaskOutput: c.TaskOutput,
		RefereeShare: c.RefereeShare, MaxJobs: c.MaxJobs, SubmitterBytes: c.SubmitterBytes, Log: a.log, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	a.serve(c, metrics)
	return nil
}

func poolSize(n int) int {
	if n > 0 {
		return n
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

func catalogue() ([]library.Builtin, error) {
	all, err := tasks.Catalogue()
	if err != nil {
		return nil, err
	}
	builtins := make([]library.Builtin, len(all))
	for i, p := range all {
		builtins[i] = library.Builtin{Name: p.Name, Module: p.Module, Manifest: &p.Manifest}
	}
	return builtins, nil
}

// workers shows the gateway's connections as the API does.
func (a *App) workers() []api.Worker {
	all := []api.Worker{}
	for _, w := range a.gateway.Workers() {
		all = append(all, api.Worker{
			ID: w.ID, Volunteer: w.Volunteer, Name: w.Name, Slots: w.Slots, Engine: w.Engine,
			Platform: w.Platform, Since: w.Since.UTC(), Leases: int64(w.Leases),
		})
	}
	return all
}

// serve begins to answer requests.
func (a *App) serve(c Config, metrics *prometheus.Registry) {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.Pre(echo.WrapMiddleware(a.noted))
	a.routes(e, c, metrics)
	a.server = &http.Server{
		Handler: e, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	if c.BehindProxy && c.URL == "" && len(c.Hosts) == 0 {
		a.log.Warn("behind a proxy the server needs to know its name, and answers to addresses only: start it with --url https://grid.example")
	}
	a.URL = "http://" + a.listener.Addr().String()
	all := a.connections(c, maxFiles())
	go func() { a.served <- a.server.Serve(all) }()
}

const (
	usualFiles = 1024
	mostFiles  = 1 << 20 // more make no difference
	fewFiles   = 1024    // fewer are worth a word
	// manyConnections is how many connections one address may have where files are
	// plenty: that of a school, with some tabs for each pupil.
	manyConnections = 1024
)

func connectionsEach(files, workers int) int { return min(files/8, max(manyConnections, 2*workers)) }

// connections bounds the connections by the files that may be open: half of
// them are for what the server does itself, and one address has a quarter of the
// others at most.
func (a *App) connections(c Config, files int) net.Listener {
	if files < fewFiles {
		a.log.Warn("this server may open few files, and takes as few connections: allow it more (ulimit -n, or LimitNOFILE in a unit of systemd)", "files", files)
	}
	return &guard.Listener{
		Listener: a.listener, All: files / 2, Each: connectionsEach(files, c.MaxPerAddress), Shared: c.BehindProxy, Log: a.log,
	}
}

// noted notes the requests that are under way.
func (a *App) noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.requests.RLock()
		defer a.requests.RUnlock()
		next.ServeHTTP(w, r)
	})
}

// Wait waits until ctx ends or the server fails.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.served:
		return err
	}
}

// Close takes a server down in good order: workers are told to connect
// elsewhere, requests end, jobs are let go for others. It may be called on a
// server that did not come up, and again.
func (a *App) Close(ctx context.Context) { a.closed.Do(func() { a.close(ctx) }) }

// requestGrace is how long requests that are under way have to come to their end
// by themselves when a server ends.
const requestGrace = 3 * time.Second

// stopServing ends the requests, and waits for what they clear up: of an upload
// that is cut nothing stays.
func (a *App) stopServing(ctx context.Context) {
	soon, cancel := context.WithTimeout(ctx, requestGrace)
	defer cancel()
	_ = a.server.Shutdown(soon) // what does not end in time is cut
	_ = a.server.Close()
	ended := make(chan struct{})
	go func() { a.requests.Lock(); close(ended) }() // there are no more from now on
	select {
	case <-ended:
	case <-ctx.Done():
		a.log.Warn("a request does not end, and is left alone")
	}
}

func (a *App) close(ctx context.Context) {
	if a.api != nil {
		a.api.Close()
	}
	if a.gateway != nil {
		a.gateway.Drain(ctx)
	}
	if a.server != nil {
		a.stopServing(ctx)
	} else if a.listener != nil {
		_ = a.listener.Close()
	}
	if a.foreman != nil {
		a.foreman.Close()
	}
	if a.pool != nil {
		a.pool.Close()
	}
	if a.ledger != nil {
		a.ledger.Close()
	}
}
