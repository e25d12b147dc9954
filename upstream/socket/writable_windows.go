package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// poll is WSAPOLLFD of winsock2.h.
type poll struct {
	fd      windows.Handle
	events  int16
	revents int16
}

// pollOut asks for room in the send buffer (POLLWRNORM).
const pollOut = 0x0010

func (p *poll) room(fd uintptr) bool {
	*p = poll{fd: windows.Handle(fd), events: pollOut}
	n, _, _ := syscall.SyscallN(procWSAPoll.Addr(), uintptr(unsafe.Pointer(p)), 1, 0)
	return n == 1 && p.revents&pollOut != 0
}
