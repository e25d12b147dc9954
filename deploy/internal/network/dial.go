package network

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// Dial connects to a server; slow is for a client behind a thin line, who leaves what he does not read at the server. Other
// systems than Linux have errors.ErrUnsupported.
func Dial(ctx context.Context, addr string, slow bool) (net.Conn, error) {
	dialer := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		controlErr := raw.Control(func(fd uintptr) { err = likeNetwork(fd, slow) })
		return errors.Join(controlErr, err)
	}}
	return dialer.DialContext(ctx, "tcp", addr)
}
