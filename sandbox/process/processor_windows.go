package process

import (
	"time"

	"golang.org/x/sys/windows"
)

// processorGrain is how coarse processorTime is: the system counts by its ticks.
const processorGrain = 16 * time.Millisecond

// processorTime is how long this process has computed, in all its threads.
func processorTime() time.Duration {
	var created, ended, kernel, user windows.Filetime
	_ = windows.GetProcessTimes(windows.CurrentProcess(), &created, &ended, &kernel, &user) // its own: that cannot fail
	return ticks(kernel) + ticks(user)
}

// ticks reads a span of time; one that is a Filetime counts in 100 ns.
func ticks(f windows.Filetime) time.Duration {
	return 100 * time.Duration(uint64(f.HighDateTime)<<32|uint64(f.LowDateTime))
}
