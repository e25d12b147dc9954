//go:build linux && (amd64 || arm64) && race

package socket

import (
	"errors"
	"syscall"
	"unsafe"
)

// The race detector has to see the transfers, and what happens before what because of them.

// receive reads once.
func (d *descriptor) receive(p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(d.fd, p)
		if !errors.Is(err, syscall.EINTR) {
			return n, number(err)
		}
	}
}

// sendOnce writes what the socket takes of the first piece.
func (d *descriptor) sendOnce(m *message) (uintptr, syscall.Errno) {
	n, err := syscall.Write(d.fd, unsafe.Slice(m.Iov.Base, m.Iov.Len))
	return uintptr(max(0, n)), number(err)
}

// rings: transfers in a ring are not seen.
const rings = false

func number(err error) syscall.Errno {
	errno, _ := errors.AsType[syscall.Errno](err)
	return errno
}
