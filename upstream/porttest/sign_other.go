//go:build !windows

package porttest

import (
	"io"
	"net"
)

// sign takes the port of the same number that UDP has, and nobody else uses, until it is closed; an error is that another test has it.
func sign(addr string) (io.Closer, error) {
	return net.ListenPacket("udp4", addr) //nolint:noctx // it does not wait
}
