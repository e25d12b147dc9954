package socket

import (
	"net"
	"time"
)

// dial is Dial by Go's own means.
func dial(network, address string, deadline time.Time) (net.Conn, error) {
	dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
	return dialer.Dial(network, address)
}

// setDeadline is Acceptor.SetDeadline by Go's own means.
func setDeadline(listener net.Listener, t time.Time) bool {
	timed, ok := listener.(interface{ SetDeadline(t time.Time) error })
	return ok && timed.SetDeadline(t) == nil
}
