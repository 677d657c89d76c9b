package app

import (
	"context"
	"runtime"

	"potluck/sandbox"
	"potluck/sandbox/process"
	"potluck/sandbox/shelf"
)

// A Verifier computes single tasks on this machine, as a runner does.
type Verifier struct{ pool *sandbox.Pool }

// NewVerifier starts a verifier with a task a core. It keeps machine code in a
// folder, or nowhere if that is "".
func NewVerifier(cache string, n shelf.Notice) *Verifier {
	config := process.Config{Cache: codeFolder(cache), Notice: n}
	return &Verifier{sandbox.NewPool(runtime.GOMAXPROCS(0), config.Spawn)}
}

// Close ends a verifier.
func (v *Verifier) Close() { v.pool.Close() }

// Compute computes a task of a module with these bytes, under the profile that
// the task's module names.
func (v *Verifier) Compute(ctx context.Context, module []byte, t sandbox.Task) sandbox.Outcome {
	t.Module = inMemory(module, t.Module.Profile)
	return v.pool.Run(ctx, t)
}
