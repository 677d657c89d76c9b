//go:build unix

package ledger

import "golang.org/x/sys/unix"

// disk is how many bytes the disk under a folder has left for us, and in all.
func disk(dir string) (free, size int64) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return defaultDisk, defaultDisk
	}
	return int64(s.Bavail) * int64(s.Bsize), int64(s.Blocks) * int64(s.Bsize) // the types differ between systems
}
