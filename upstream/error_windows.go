package upstream

import "golang.org/x/sys/windows"

// errTimedOut is what nginx shows for its own timeouts: the system's error of a connection that timed out.
const errTimedOut = windows.WSAETIMEDOUT

// exhausted are the errors of a dial for which this side has no socket or memory left; the second also means that there
// is no port left.
func exhausted() []error {
	return []error{windows.WSAEMFILE, windows.WSAENOBUFS}
}

// callName is the name under which nginx logs a system call.
func callName(call string) string {
	switch call {
	case "send":
		return "WSASend()"
	case "recv":
		return "WSARecv()"
	default:
		return call + "()"
	}
}
