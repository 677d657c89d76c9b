//go:build !js

// Command potluck-worker computes tasks for a grid, headless: on idle machines
// and in CI. It exits with status 0 when it ended as it was told to, 1 on an
// error, 2 on words that make no sense, and 3 when the grid refused it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/wasmworker/agent"
	"potluck/wire"
)

var version = "dev" // set by make

type options struct {
	Server    string        `required:"" help:"URL of the grid." env:"POTLUCK_SERVER"`
	Slots     int           `help:"Tasks to compute at a time; 0 is one a core." default:"0" env:"POTLUCK_SLOTS"`
	Name      string        `help:"What to be called; the host's name and a number by default." env:"POTLUCK_NAME"`
	TokenFile string        `help:"File with a runner's token, for a closed grid or to be trusted." type:"existingfile" env:"POTLUCK_TOKEN_FILE"`
	Token     string        `help:"The token itself; a file is safer." env:"POTLUCK_TOKEN"`
	UntilIdle bool          `help:"End when the grid has no work." env:"POTLUCK_UNTIL_IDLE"`
	MaxTasks  uint64        `help:"End after so many tasks." env:"POTLUCK_MAX_TASKS"`
	MaxTime   time.Duration `help:"End after so long, like 55m." env:"POTLUCK_MAX_TIME"`
	Grace     time.Duration `help:"How long tasks may go on after a signal to end; then they are given back." default:"30s" env:"POTLUCK_GRACE"`
	Cache     string        `help:"Folder for modules and machine code; the system's cache folder by default." env:"POTLUCK_CACHE"`
	JSON      bool          `help:"Print what happens as a JSON object a line."`
	Quiet     bool          `short:"q" help:"Log warnings only."`

	Version kong.VersionFlag `help:"Print the version."`
}

func main() {
	if process.IsExecutor() {
		exit(process.Main())
	}
	var o options
	kong.Parse(&o, kong.Name("potluck-worker"), kong.UsageOnError(), kong.Exit(usage), kong.Vars{"version": version},
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
		fmt.Fprintln(os.Stderr, "potluck-worker:", err)
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(os.Stderr, "potluck-worker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	if o.MaxTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.MaxTime)
		defer cancel()
	}
	hello, err := o.hello()
	if err != nil {
		return err
	}
	engine, err := newEngine(o.Cache)
	if err != nil {
		return err
	}
	defer engine.Close()
	level := slog.LevelInfo
	if o.Quiet || o.JSON {
		level = slog.LevelWarn
	}
	return agent.New(agent.Config{
		Server: o.Server, Hello: hello, Engine: engine,
		Linger: 40 * time.Millisecond, UntilIdle: o.UntilIdle, MaxTasks: o.MaxTasks, Grace: o.Grace, Observe: o.observer(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	}).Run(ctx)
}

// hello is what the worker says of itself. It gets a new identity each time.
func (o *options) hello() (h wire.Hello, err error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	h = wire.Hello{
		Name: o.Name, Secret: secret, Token: o.Token, Slots: o.Slots,
		Engine: "wazero", Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if h.Slots <= 0 {
		h.Slots = runtime.NumCPU()
	}
	if h.Name == "" {
		host, _ := os.Hostname() // a worker without a host's name is still one
		h.Name = fmt.Sprintf("%.30s-%d", host, os.Getpid())
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
type disk struct{ dir string }

func newEngine(cache string) (*engine, error) {
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = os.TempDir()
		}
		cache = filepath.Join(base, "potluck")
	}
	d := disk{filepath.Join(cache, "modules")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the cache folder: %w", err)
	}
	return &engine{shelf: d, spawn: process.Config{Cache: filepath.Join(cache, "code"), Low: true}.Spawn}, nil
}

func (d disk) module(hash string) sandbox.Module {
	return sandbox.Module{ID: sandbox.ID(hash), Path: filepath.Join(d.dir, hash+".wasm")}
}

// forget keeps the file: it is there for the next time.
func (d disk) forget(string) {}

func (d disk) put(ctx context.Context, hash string, fetch func(context.Context) ([]byte, error)) error {
	m := d.module(hash)
	if data, err := os.ReadFile(m.Path); err == nil && sandbox.Hash(data) == m.ID {
		return nil
	}
	data, err := fetch(ctx)
	if err != nil {
		return err
	}
	if err := writeFile(m.Path, data); err != nil {
		return fmt.Errorf("keep a module: %w", err)
	}
	return nil
}

// writeFile replaces a file as a whole: another worker may be reading it.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
