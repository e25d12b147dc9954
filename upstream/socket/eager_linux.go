//go:build linux && (amd64 || arm64)

package socket

import (
	"syscall"
	"unsafe"
)

// eagerPieces is one sendmsg on the descriptor. It goes by RawConn.Control, which unlike Write neither waits nor heeds a deadline.
type eagerPieces struct {
	raw     syscall.RawConn
	send    func(fd uintptr) // bound once, so that a write does not allocate
	vector  [8]syscall.Iovec
	message syscall.Msghdr
	n       int64
}

func (e *eagerPieces) write(s *Socket, pieces [][]byte) int64 {
	if e.send == nil {
		e.send = e.sendOnce
		e.raw, _ = s.SyscallConn()
	}
	if e.raw == nil {
		return 0
	}
	used := 0
	for _, p := range pieces[:min(len(pieces), len(e.vector))] {
		if len(p) > 0 {
			e.vector[used].Base = &p[0]
			e.vector[used].SetLen(len(p))
			used++
		}
	}
	e.n = 0
	if used > 0 {
		e.message = syscall.Msghdr{Iov: &e.vector[0], Iovlen: uint64(used)}
		_ = e.raw.Control(e.send)
		clear(e.vector[:used])
	}
	return e.n
}

func (e *eagerPieces) sendOnce(fd uintptr) {
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&e.message)),
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if errno == 0 {
			e.n = int64(n)
		}
		if errno != syscall.EINTR {
			return
		}
	}
}
