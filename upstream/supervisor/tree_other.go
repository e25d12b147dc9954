//go:build unix && !linux

package supervisor

import "syscall"

// dieWithParent does nothing: only Linux has a parent death signal. A Guard does it.
func dieWithParent(*syscall.SysProcAttr) {}
