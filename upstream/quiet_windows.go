package upstream

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// watchCall is WSAPOLLFD of winsock2.h.
type watchCall struct {
	fd      windows.Handle
	events  int16
	revents int16
}

// pollIn asks for readable data (POLLRDNORM); errors and hang-ups are reported unasked.
const pollIn = 0x0100

var procWSAPoll = windows.NewLazySystemDLL("ws2_32.dll").NewProc("WSAPoll") // a DLL's entry point: constant once found

func (w *watchCall) nothing(fd uintptr) bool {
	*w = watchCall{fd: windows.Handle(fd), events: pollIn}
	n, _, _ := syscall.SyscallN(procWSAPoll.Addr(), uintptr(unsafe.Pointer(w)), 1, 0)
	return n == 0
}
