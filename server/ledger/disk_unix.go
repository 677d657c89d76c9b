//go:build unix

package ledger

import "golang.org/x/sys/unix"

// freeDisk is how many bytes the disk under a folder has left for us.
func freeDisk(dir string) int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return defaultFree
	}
	return int64(s.Bavail) * int64(s.Bsize) // the types differ between systems
}
