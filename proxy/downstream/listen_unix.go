//go:build unix

package downstream

import "syscall"

// exclusive has nothing to do: Go sets SO_REUSEADDR, with which a port in TIME_WAIT can be had and one in use cannot.
func exclusive(_, _ string, _ syscall.RawConn) error { return nil }

var listenErrors = []listenError{
	{syscall.EADDRINUSE, "another program listens there already; stop it, or choose another port"},
	{syscall.EADDRNOTAVAIL, "this machine does not have the address; choose one that it has, or * for all"},
	{syscall.EACCES, "not allowed; ports below 1024 take root, or CAP_NET_BIND_SERVICE"},
}
