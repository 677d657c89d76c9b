package ledger

import "golang.org/x/sys/windows"

// freeDisk is how many bytes the disk under a folder has left for us.
func freeDisk(dir string) int64 {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return defaultFree
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(path, &free, nil, nil); err != nil {
		return defaultFree
	}
	return int64(free)
}
