//go:build unix && !linux

package supervisor

import "syscall"

// onlyZombies does not know.
func onlyZombies(int) bool { return false }

// dieWithParent does nothing: only Linux has a parent death signal. A Guard does it.
func dieWithParent(*syscall.SysProcAttr) {}
