//go:build unix

package main

import (
	"os"
	"syscall"
)

// orders are the signals of nginx with nginx's meaning, but for SIGINT: see .docs/adr/0006.
var orders = map[os.Signal]order{
	syscall.SIGHUP:  orderReload,
	syscall.SIGUSR1: orderReopen,
	syscall.SIGQUIT: orderQuit,
	syscall.SIGTERM: orderStop,
	syscall.SIGINT:  orderInterrupt,
}

// endBy ends the program by a signal that has its default effect again.
func endBy(s os.Signal) {
	if number, ok := s.(syscall.Signal); ok {
		_ = syscall.Kill(os.Getpid(), number)
	}
	select {} // the signal is on its way
}
