//go:build !js

// Command potluck-worker computes tasks for a grid, headless: on idle machines
// and in CI. It exits with status 0 when it ended as it was told to, 1 on an
// error, 2 on words that make no sense, and 3 when the grid refused it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"potluck/client/terminal"
	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/shelf"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

var version = "dev" // set by make

type options struct {
	Server    string        `required:"" help:"URL of the grid." env:"POTLUCK_SERVER"`
	Slots     int           `help:"Tasks to compute at a time; 0 is one a core, or what a container's quota allows." default:"0" env:"POTLUCK_SLOTS"`
	Name      string        `help:"What to be called, for all to see; nothing by default." env:"POTLUCK_NAME"`
	Team      string        `help:"Team to compute for, for all to see." env:"POTLUCK_TEAM"`
	Identity  string        `help:"File with the secret that the grid knows this volunteer by; it is made when there is none. Runners with the same one are one volunteer, with one vote. 'none' for another identity each time." default:"${identity}" env:"POTLUCK_IDENTITY"`
	TokenFile string        `help:"File with a runner's token, for a closed grid or to be trusted." type:"existingfile" env:"POTLUCK_TOKEN_FILE"`
	Token     string        `help:"The token itself; a file is safer." env:"POTLUCK_TOKEN"`
	UntilIdle bool          `help:"End when the grid has no work." env:"POTLUCK_UNTIL_IDLE"`
	MaxTasks  uint64        `help:"End after so many tasks." env:"POTLUCK_MAX_TASKS"`
	MaxTime   time.Duration `help:"End after so long, like 55m." env:"POTLUCK_MAX_TIME"`
	Grace     time.Duration `help:"How long tasks may go on after a signal to end; then they are given back." default:"30s" env:"POTLUCK_GRACE"`
	Cache     string        `help:"Folder for modules and machine code; the system's cache folder by default." env:"POTLUCK_CACHE"`
	Erase     bool          `help:"Have the grid erase the name and the team of this volunteer, and end. Other runners of the same identity should have ended before: they would say them again."`
	JSON      bool          `help:"Print what happens as a JSON object a line."`
	Quiet     bool          `short:"q" help:"Log warnings only."`

	Version kong.VersionFlag `help:"Print the version."`
}

func main() {
	if process.IsExecutor() {
		exit(process.Main())
	}
	var o options
	kong.Parse(&o, kong.Name("potluck-worker"), kong.UsageOnError(), kong.Exit(usage), kong.Vars{"version": version, "identity": usualIdentity()},
		kong.Description("Computes tasks for a Potluck grid. SIGINT or SIGTERM ends it in good order; twice ends it at once."))
	exit(run(o))
}

// usage ends after the help, or after words on the command line that make no sense.
func usage(code int) {
	if code != 0 {
		code = 2
	}
	os.Exit(code)
}

func exit(err error) {
	var refused *agent.RefusedError
	switch {
	case errors.As(err, &refused):
		fmt.Fprintln(terminal.Err, "potluck-worker:", err)
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(terminal.Err, "potluck-worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	if o.Erase {
		return o.erase(ctx)
	}
	if o.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.MaxTime)
		defer cancel()
	}
	level := slog.LevelInfo
	if o.Quiet || o.JSON {
		level = slog.LevelWarn
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	hello, err := o.hello(log)
	if err != nil {
		return err
	}
	notice := shelf.Notice(func(what, why string) {
		log.Warn("the cache has trouble, and computing goes on", "trouble", what, "reason", why)
	}).Once()
	cache, remove := shelf.Folder(o.Cache, notice)
	defer remove()
	engine := newEngine(cache, notice)
	defer engine.Close()
	return agent.New(agent.Config{
		Server: o.Server, Hello: hello, Engine: engine,
		Linger: 40 * time.Millisecond, UntilIdle: o.UntilIdle, MaxTasks: o.MaxTasks, Grace: o.Grace, Observe: o.observer(), Log: log,
	}).Run(ctx)
}

// hello is what the worker says of itself. Where nobody said where to keep the
// identity, it is no reason not to compute that it cannot be kept.
func (o *options) hello(log *slog.Logger) (h wire.Hello, err error) {
	secret, err := identity(o.Identity)
	if err != nil && o.Identity == usualIdentity() {
		log.Warn("this runner is somebody else each time: the grid will not know it again", "reason", err)
		secret, err = newSecret(), nil
	}
	if err != nil {
		return h, err
	}
	h = wire.Hello{
		Name: o.Name, Team: o.Team, Secret: forGrid(secret, o.Server), Token: o.Token, Slots: o.Slots,
		Engine: "wazero", Platform: runtime.GOOS + "/" + runtime.GOARCH, Profiles: sandbox.Profiles,
	}
	if h.Slots <= 0 {
		h.Slots = runtime.GOMAXPROCS(0) // a container may have fewer cores than the machine
	}
	if o.TokenFile != "" {
		data, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return h, err
		}
		h.Token = strings.TrimSpace(string(data))
	}
	return h, nil
}

// observer prints events as JSON on stdout, or else a last line with the sums.
func (o *options) observer() func(agent.Event) {
	enc := json.NewEncoder(os.Stdout)
	return func(e agent.Event) {
		if o.JSON {
			_ = enc.Encode(e) // a closed stdout is no reason to stop computing
			return
		}
		if t := e.Totals; e.Kind == agent.Ended {
			fmt.Printf("%d tasks computed, %d failed: %d results accepted, %d waiting for others, %d not needed, %d rejected\n",
				t.Computed, t.Failed, t.Accepted, t.Pending, t.Late, t.Rejected)
		}
	}
}

// disk keeps modules in a folder.
type disk struct {
	*shelf.Shelf
	cache shelf.Cache
}

// newEngine makes an engine that keeps modules and machine code in a folder, or
// in memory if that is "".
func newEngine(cache string, notice shelf.Notice) *engine {
	d := disk{cache: shelf.Cache{Dir: cache, Limit: shelf.DefaultLimit}}
	d.Shelf = shelf.New(d.cache.ModulesDir(), notice)
	_ = d.cache.Trim() // it is tried again
	return &engine{modules: d, spawn: process.Config{Cache: d.cache.CodeDir(), Low: true, Notice: notice}.Spawn}
}

func (d disk) module(hash string) sandbox.Module { return d.Module(sandbox.ID(hash)) }

// forget keeps the file, if there is room: it is there for the next time.
func (d disk) forget(hash string) {
	d.Forget(sandbox.ID(hash))
	_ = d.cache.Trim() // it is tried again with the next one
}

func (d disk) put(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) *sandbox.Failure {
	if _, err := d.Put(ctx, sandbox.ID(hash), fetch); err != nil {
		return &sandbox.Failure{Kind: sandbox.Machine, Message: err.Error()}
	}
	return nil
}
