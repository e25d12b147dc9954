//go:build unix

package supervisor

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// signalNumber returns the signal with a name like "term"; 0 when there is none.
func signalNumber(name string) syscall.Signal { return unix.SignalNum("SIG" + strings.ToUpper(name)) }

func knownSignal(name string) bool { return signalNumber(name) != 0 }
