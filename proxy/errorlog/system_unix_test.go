//go:build unix

package errorlog_test

import "syscall"

const (
	errNoFile = syscall.ENOENT
	openCall  = "open()"
	noFile    = "2: No such file or directory"
	lineEnd   = "\n"
)
