//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// quiet says whether nothing is to be read from the connection, not even its end.
func quiet(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	nothing := false
	err = rc.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peekErr := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		nothing = peekErr == syscall.EAGAIN || peekErr == syscall.EWOULDBLOCK
	})
	return err == nil && nothing
}
