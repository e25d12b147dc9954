package downstream

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// soExclusiveAddrUse is SO_EXCLUSIVEADDRUSE: nobody else can bind the port, whatever option they set. Without it,
// SO_REUSEADDR lets a second program take over the port.
const soExclusiveAddrUse = ^windows.SO_REUSEADDR

func exclusive(network, _ string, raw syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, soExclusiveAddrUse, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

var listenErrors = []listenError{
	{windows.WSAEADDRINUSE, "another program listens there already; find it with netstat -ano, or choose another port"},
	{windows.WSAEADDRNOTAVAIL, "this machine does not have the address; choose one that it has, or * for all"},
	{windows.WSAEACCES, "another program has the port for itself, or Windows keeps it (netsh interface ipv4 show " +
		"excludedportrange protocol=tcp); choose another port"},
}
