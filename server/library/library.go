// Package library has the modules of the grid at hand: it checks and publishes
// new ones, keeps them in the ledger, and lays them on this machine's disk for
// the sandbox. What is damaged there, or does not fit, comes from the ledger
// again. The built-in programs are in it from the start.
package library

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/contract"
	"potluck/sandbox"
	"potluck/sandbox/profile"
	"potluck/sandbox/shelf"
	"potluck/server/ledger"
	"potluck/server/program"
)

// A Builtin is a program that comes with the server.
type Builtin struct {
	Name     string
	Module   []byte
	Manifest *contract.Manifest
	// ID is the module's once published, Source its hash before, Report what
	// became of it; New sets them.
	ID, Source sandbox.ID
	Report     profile.Report
}

// record is what the ledger knows a built-in program by.
func (b *Builtin) record() *ledger.Module {
	return &ledger.Module{
		ID: b.ID, Bytes: len(b.Module), Manifest: b.Manifest, Gated: true, Created: time.Now(),
		Source: b.Source, Profile: sandbox.Profile, Report: &b.Report,
	}
}

// Config says what a library works with.
type Config struct {
	Ledger *ledger.Ledger
	Pool   *sandbox.Pool
	// Engine and Other are what the determinism gate compares.
	Engine, Other sandbox.Spawn
	Shelf         *shelf.Shelf // for modules on disk
	Cache         shelf.Cache  // where that is, with their machine code
	Memory        int          // bytes that a program may use
	StageMemory   int          // the same for reduce and render, if that is more
	Builtins      []Builtin
}

// A Library is the modules of the grid.
type Library struct {
	config Config
	mu     sync.Mutex
	known  map[sandbox.ID]*ledger.Module
	wide   map[sandbox.ID]sandbox.ID // modules as reduce and render run them
}

// New opens a library. The modules of the built-in programs are only stored
// when a job first uses them.
func New(c Config) (*Library, error) {
	failed := make([]error, len(c.Builtins))
	var wait sync.WaitGroup
	for i := range c.Builtins {
		wait.Go(func() { failed[i] = c.Builtins[i].publish(c.Memory) })
	}
	wait.Wait()
	return &Library{config: c, known: map[sandbox.ID]*ledger.Module{}, wide: map[sandbox.ID]sandbox.ID{}}, errors.Join(failed...)
}

// published are the built-in programs as this process has published them, by
// source and memory: each takes a tenth of a second, and a process may start
// several servers.
var published sync.Map

type builtinKey struct {
	source sandbox.ID
	memory int
}

func (b *Builtin) publish(memory int) error {
	key := builtinKey{sandbox.Hash(b.Module), memory}
	once, _ := published.LoadOrStore(key, sync.OnceValues(func() (profile.Published, error) { return profile.Publish(b.Module, memory) }))
	p, err := once.(func() (profile.Published, error))()
	if err != nil {
		return fmt.Errorf("built-in program %s: %w", b.Name, err)
	}
	b.Source, b.Module, b.ID, b.Report = key.source, p.Module, p.ID, p.Report
	return nil
}

// Builtins lists the built-in programs.
func (l *Library) Builtins() []Builtin { return l.config.Builtins }

// An Unknown error says that nothing is known by a name, and what is.
type Unknown struct{ text string }

func (e *Unknown) Error() string { return e.text }

// Resolve finds a module by the name of a built-in program or by its id. It is
// an *Unknown error if there is none.
func (l *Library) Resolve(ctx context.Context, name string) (*ledger.Module, error) {
	if b := l.builtin(func(b Builtin) bool { return b.Name == name }); b != nil {
		return l.Module(ctx, b.ID)
	}
	id, err := sandbox.ParseID(name)
	if err != nil {
		names := make([]string, 0, len(l.config.Builtins))
		for _, b := range l.config.Builtins {
			names = append(names, b.Name)
		}
		return nil, &Unknown{fmt.Sprintf("no program is called %q; there are %s, and modules by their id", name, strings.Join(names, ", "))}
	}
	m, err := l.Module(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, &Unknown{fmt.Sprintf("no module %s is known here: publish it first", id)}
	}
	return m, err
}

func (l *Library) builtin(is func(Builtin) bool) *Builtin {
	if i := slices.IndexFunc(l.config.Builtins, is); i >= 0 {
		return &l.config.Builtins[i]
	}
	return nil
}

// Module gives the record of a module, storing a built-in one if it is new.
func (l *Library) Module(ctx context.Context, id sandbox.ID) (*ledger.Module, error) {
	l.mu.Lock()
	m := l.known[id]
	l.mu.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := l.config.Ledger.Module(ctx, id)
	if b := l.builtin(func(b Builtin) bool { return b.ID == id }); errors.Is(err, ledger.ErrNotFound) && b != nil {
		m = b.record()
		err = l.config.Ledger.PutModule(ctx, m, b.Module)
	}
	if err != nil {
		return nil, err
	}
	l.remember(m)
	return m, nil
}

func (l *Library) remember(m *ledger.Module) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[m.ID] = m
}

// Bytes gives a module's bytes, of built-in ones too that no job uses yet.
func (l *Library) Bytes(ctx context.Context, id sandbox.ID) ([]byte, error) {
	if b := l.builtin(func(b Builtin) bool { return b.ID == id }); b != nil {
		return b.Module, nil
	}
	return l.config.Ledger.ModuleBytes(ctx, id)
}

// Info gives the record of a module, of built-in ones too that no job uses yet;
// unlike Module it stores nothing.
func (l *Library) Info(ctx context.Context, id sandbox.ID) (*ledger.Module, error) {
	if b := l.builtin(func(b Builtin) bool { return b.ID == id }); b != nil {
		return b.record(), nil
	}
	return l.Module(ctx, id)
}

// Program gives a module ready to run on this machine.
func (l *Library) Program(ctx context.Context, id sandbox.ID) (*program.Program, error) {
	m, err := l.Module(ctx, id)
	if err != nil {
		return nil, err
	}
	on, err := l.config.Shelf.Put(ctx, id, func(ctx context.Context) ([]byte, error) { return l.Bytes(ctx, id) })
	on.Profile = m.Profile
	if err != nil {
		return nil, err
	}
	wide, err := l.widened(ctx, on)
	return &program.Program{Module: on, Wide: wide, Manifest: m.Manifest}, err
}

// widened gives a module with the memory that reduce and render may have. Only the
// server runs it so.
func (l *Library) widened(ctx context.Context, m sandbox.Module) (sandbox.Module, error) {
	if l.config.StageMemory <= l.config.Memory {
		return m, nil
	}
	widen := func(ctx context.Context) (profile.Published, error) {
		data, err := l.Bytes(ctx, m.ID)
		if err != nil {
			return profile.Published{}, err
		}
		return profile.Widen(data, l.config.Memory, l.config.StageMemory)
	}
	l.mu.Lock()
	id := l.wide[m.ID]
	l.mu.Unlock()
	if id == "" {
		p, err := widen(ctx)
		if err != nil {
			return m, err
		}
		id = p.ID
		l.mu.Lock()
		l.wide[m.ID] = id
		l.mu.Unlock()
	}
	wide, err := l.config.Shelf.Put(ctx, id, func(ctx context.Context) ([]byte, error) {
		p, err := widen(ctx)
		return p.Module, err
	})
	wide.Profile = m.Profile
	return wide, err
}

// An Invalid error says what is wrong with a module.
type Invalid struct{ Err error }

func (e *Invalid) Error() string { return e.Err.Error() }

func (e *Invalid) Unwrap() error { return e.Err }

// Names gives the hashes that an approval may know a module by: of its source,
// as published, and as published under the first profile. What is wrong with the
// module is an *Invalid.
func (l *Library) Names(source []byte) ([]sandbox.ID, error) {
	p, err := profile.Publish(source, l.config.Memory)
	if err != nil {
		return nil, &Invalid{err}
	}
	return []sandbox.ID{sandbox.Hash(source), p.ID, profile.FirstID(source, l.config.Memory)}, nil
}

// Publish writes a module under the newest profile, asks it what it is, runs it
// through the determinism gate and stores it as its owner's, whose turns that
// takes. isNew is false if the grid has it already. What is wrong with the module
// is an *Invalid.
func (l *Library) Publish(ctx context.Context, source []byte, by sandbox.Account) (m *ledger.Module, isNew bool, err error) {
	p, err := profile.Publish(source, l.config.Memory)
	if err != nil {
		return nil, false, &Invalid{err}
	}
	id := p.ID
	if m, err := l.Module(ctx, id); err == nil || !errors.Is(err, ledger.ErrNotFound) {
		return m, false, err
	}
	on, err := l.config.Shelf.Put(ctx, id, func(context.Context) ([]byte, error) { return p.Module, nil })
	if err != nil {
		return nil, false, err
	}
	on.Profile = sandbox.Profile
	defer func() {
		if err != nil {
			l.config.Shelf.Forget(id)
			_ = l.config.Cache.Remove(id) // else it goes when there is no room
		}
		_ = l.config.Cache.Trim() // what cannot be removed now is tried again with the next one
	}()
	manifest, err := program.Describe(ctx, l.config.Pool.For(by), on)
	if sandbox.IsMachines(err) {
		return nil, false, err
	}
	if err != nil {
		return nil, false, &Invalid{err}
	}
	m = &ledger.Module{
		ID: id, Bytes: len(p.Module), Manifest: manifest, Created: time.Now(), Owner: by.Owner,
		Source: sandbox.Hash(source), Profile: sandbox.Profile, Report: &p.Report,
	}
	if err := l.gateFirst(ctx, &program.Program{Module: on, Manifest: manifest}, by); err != nil {
		return nil, false, &Invalid{err}
	}
	if err := l.config.Ledger.PutModule(ctx, m, p.Module); err != nil {
		return nil, false, err
	}
	l.remember(m)
	_, err = l.Program(ctx, id) // from now on its bytes come from the ledger
	return m, true, err
}

var errEnough = errors.New("one is enough")

// gateFirst puts a new module through the gate with the first task of its
// default parameters, or with an empty input if it has none.
func (l *Library) gateFirst(ctx context.Context, p *program.Program, by sandbox.Account) error {
	var input []byte
	if p.Has(contract.Split) {
		err := p.SplitBriefly(ctx, l.config.Pool.For(by), []byte("{}"), func(first []byte) error { input = first; return errEnough })
		if err != nil && !errors.Is(err, errEnough) {
			return nil //nolint:nilerr // its defaults are not enough: the first real task is the test
		}
	}
	return l.compare(ctx, sandbox.Task{Module: p.Module, Args: p.MapArgs(nil), Input: input}, by)
}

// compare runs a task in both engines, when it is the turn of an account.
func (l *Library) compare(ctx context.Context, t sandbox.Task, by sandbox.Account) (err error) {
	waited := l.config.Pool.For(by).Hold(ctx, func() { err = sandbox.Gate(ctx, l.config.Engine, l.config.Other, t) })
	return errors.Join(waited, err)
}

// Gate puts a module through the gate with the first task of its first job. It
// returns an *Invalid if the module is not deterministic.
func (l *Library) Gate(ctx context.Context, p *program.Program, args []string, input []byte, by sandbox.Account) error {
	m, err := l.Module(ctx, p.Module.ID)
	if err != nil || m.Gated {
		return err
	}
	if err := l.compare(ctx, sandbox.Task{Module: p.Module, Args: args, Input: input}, by); err != nil {
		return &Invalid{err}
	}
	passed := *m
	passed.Gated = true
	if err := l.config.Ledger.UpdateModule(ctx, &passed); err != nil {
		return err
	}
	l.remember(&passed)
	return nil
}
