package process

import "golang.org/x/sys/windows"

// lowerPriority lets everything else on the machine go first.
func lowerPriority() {
	_ = windows.SetPriorityClass(windows.CurrentProcess(), windows.IDLE_PRIORITY_CLASS)
}
