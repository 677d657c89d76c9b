//go:build unix

package app

import "syscall"

// maxFiles is how many files this process may have open, connections included.
func maxFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return usualFiles
	}
	return int(min(limit.Cur, mostFiles))
}
