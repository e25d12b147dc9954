package downstream

import (
	"errors"
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
	{windows.WSAEADDRINUSE, inUse},
	{windows.WSAEADDRNOTAVAIL, noAddress},
	{windows.WSAEACCES, denied},
}

func inUse(at spot) string {
	if at.owner == "" {
		return "another program listens there already; find it with netstat -ano, or choose another port"
	}
	return at.owner + " listens there already; stop it, or choose another port"
}

// denied is about a port that somebody has for himself: another program, http.sys, which is process 4 and serves IIS and
// others, or Windows, which keeps ranges for Hyper-V, containers and others.
func denied(at spot) string {
	const (
		system = "netsh http show servicestate tells whether it is http.sys, for IIS or another service"
		ranges = "netsh interface ipv4 show excludedportrange protocol=tcp tells whether Windows keeps it"
	)
	switch {
	case at.owner != "":
		return at.owner + " has the port for itself; stop it, or choose another port; for the pid 4, " + system
	case at.asked:
		return "no program listens there; " + ranges + ", " + system + "; or choose another port"
	default:
		return "another program has the port for itself, or " + ranges + ", " + system + "; or choose another port"
	}
}

// isExhausted says whether an accept failed for a want that a closed connection relieves.
func isExhausted(err error) bool {
	return errors.Is(err, windows.WSAEMFILE) || errors.Is(err, windows.WSAENOBUFS)
}
