//go:build unix

package process

import "golang.org/x/sys/unix"

// lowerPriority lets everything else on the machine go first.
func lowerPriority() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19) }
