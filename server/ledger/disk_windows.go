package ledger

import "golang.org/x/sys/windows"

// disk is how many bytes the disk under a folder has left for us, and in all.
func disk(dir string) (free, size int64) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return defaultDisk, defaultDisk
	}
	var left, all uint64
	if err := windows.GetDiskFreeSpaceEx(path, &left, &all, nil); err != nil {
		return defaultDisk, defaultDisk
	}
	return int64(left), int64(all)
}
