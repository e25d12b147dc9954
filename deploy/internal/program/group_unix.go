//go:build unix

package program

import "syscall"

// ownGroup gives a program a process group of its own: lighttpd ends all of its group.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
