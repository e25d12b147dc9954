//go:build unix

package upstream

import "syscall"

// watchCall is a look at the socket's first byte that leaves it there.
type watchCall struct{ b [1]byte }

func (w *watchCall) nothing(fd uintptr) bool {
	_, _, err := syscall.Recvfrom(int(fd), w.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
