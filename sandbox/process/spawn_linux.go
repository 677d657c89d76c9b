package process

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end an executor whose parent was killed, even
// in the middle of an endless loop.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
