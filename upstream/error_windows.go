package upstream

import "golang.org/x/sys/windows"

// errTimedOut is what nginx shows for its own timeouts: the system's error of a connection that timed out.
const errTimedOut = windows.WSAETIMEDOUT

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
