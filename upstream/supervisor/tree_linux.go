package supervisor

import "syscall"

// dieWithParent has the kernel kill the process when the thread that launches it ends; see launcher.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
