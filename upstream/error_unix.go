//go:build unix

package upstream

import "syscall"

// errTimedOut is what nginx shows for its own timeouts: the system's error of a connection that timed out.
const errTimedOut = syscall.ETIMEDOUT

// exhausted are the errors of a dial for which this side has no socket or memory left.
func exhausted() []error {
	return []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
}

// callName is the name under which nginx logs a system call.
func callName(call string) string { return call + "()" }
