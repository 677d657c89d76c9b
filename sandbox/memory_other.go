//go:build !unix

package sandbox

import "context"

// withMemory leaves linear memories to wazero: see memory_unix.go.
func withMemory(ctx context.Context) context.Context { return ctx }
