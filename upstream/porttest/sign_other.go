//go:build !windows

package porttest

import (
	"io"
	"net"
)

// sign takes the port of the same number that UDP has, and nobody else uses.
func sign(addr string) (io.Closer, error) {
	return net.ListenPacket("udp4", addr) //nolint:noctx // it does not wait
}
