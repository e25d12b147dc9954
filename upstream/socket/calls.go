//go:build linux && (amd64 || arm64) && !race

package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RawSyscall leaves out what Go does around calls that may block, which costs more than the transfer of a small message; with
// MSG_DONTWAIT these never block.

// receive reads once.
func (d *descriptor) receive(p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(d.fd), uintptr(unsafe.Pointer(&p[0])),
			uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// sendOnce writes what the socket takes. One piece goes without the message around it, which the kernel would copy too.
func (d *descriptor) sendOnce(m *message) (uintptr, syscall.Errno) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	if piece := m.Iov; m.Iovlen == 1 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(d.fd), uintptr(unsafe.Pointer(piece.Base)),
			uintptr(piece.Len), flags, 0, 0)
		return n, errno
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(d.fd), uintptr(unsafe.Pointer(&m.Msghdr)), flags)
	return n, errno
}

// rings says that loops may have rings.
const rings = true
