package app

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"potluck/sandbox"
	"potluck/sandbox/process"
)

// A Verifier computes single tasks on this machine, as a runner does.
type Verifier struct {
	pool *sandbox.Pool
	dir  string // of modules
	mu   sync.Mutex
}

// NewVerifier starts a verifier with a task a core. It keeps machine code in a
// folder.
func NewVerifier(cache string) (*Verifier, error) {
	dir, err := os.MkdirTemp("", "potluck-")
	if err != nil {
		return nil, err
	}
	return &Verifier{dir: dir, pool: sandbox.NewPool(runtime.NumCPU(), process.Config{Cache: filepath.Join(cache, "code")}.Spawn)}, nil
}

// Close ends a verifier.
func (v *Verifier) Close() error {
	v.pool.Close()
	return os.RemoveAll(v.dir)
}

// Compute computes a task of a module with these bytes, under the profile that
// the task's module names.
func (v *Verifier) Compute(ctx context.Context, module []byte, t sandbox.Task) (sandbox.Outcome, error) {
	t.Module.ID = sandbox.Hash(module)
	t.Module.Path = filepath.Join(v.dir, string(t.Module.ID)+".wasm")
	v.mu.Lock()
	_, err := os.Stat(t.Module.Path)
	if errors.Is(err, os.ErrNotExist) {
		err = os.WriteFile(t.Module.Path, module, 0o600)
	}
	v.mu.Unlock()
	if err != nil {
		return sandbox.Outcome{}, err
	}
	return v.pool.Run(ctx, t), nil
}
