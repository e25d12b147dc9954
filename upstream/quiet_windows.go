package upstream

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// pollFD is WSAPOLLFD of winsock2.h.
type pollFD struct {
	fd      windows.Handle
	events  int16
	revents int16
}

// pollIn asks for readable data (POLLRDNORM); errors and hang-ups are reported unasked.
const pollIn = 0x0100

var procWSAPoll = windows.NewLazySystemDLL("ws2_32.dll").NewProc("WSAPoll") // a DLL's entry point: constant once found

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
		poll := pollFD{fd: windows.Handle(fd), events: pollIn}
		n, _, _ := procWSAPoll.Call(uintptr(unsafe.Pointer(&poll)), 1, 0)
		nothing = n == 0
	})
	return err == nil && nothing
}
