//go:build !unix

package process

import "context"

// withMemory leaves linear memories to wazero: see memory_unix.go.
func withMemory(ctx context.Context) context.Context { return ctx }
