//go:build unix

package downstream

import (
	"errors"
	"syscall"
)

// exclusive has nothing to do: Go sets SO_REUSEADDR, with which a port in TIME_WAIT can be had and one in use cannot.
func exclusive(_, _ string, _ syscall.RawConn) error { return nil }

var listenErrors = []listenError{
	{syscall.EADDRINUSE, inUse},
	{syscall.EADDRNOTAVAIL, noAddress},
	{syscall.EACCES, denied},
}

func inUse(at spot) string {
	switch {
	case at.owner != "":
		return at.owner + " listens there already; stop it, or choose another port"
	case at.port == 0:
		return "another program listens there already, or the file is no socket; stop it, or choose another path"
	default:
		return "another program listens there already; stop it, or choose another port"
	}
}

func denied(at spot) string {
	if at.port == 0 {
		return "not allowed; the account needs the right to write to the folder"
	}
	return "not allowed; ports below 1024 take root or CAP_NET_BIND_SERVICE: setcap cap_net_bind_service=+ep on the " +
		"program, AmbientCapabilities=CAP_NET_BIND_SERVICE in a systemd unit, or choose another port"
}

// isExhausted says whether an accept failed for a want that a closed connection relieves.
func isExhausted(err error) bool {
	for _, want := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC} {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}
