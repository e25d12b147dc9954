//go:build !unix

package program

import "syscall"

// ownGroup is nothing where programs do not signal their group.
func ownGroup() *syscall.SysProcAttr { return nil }
