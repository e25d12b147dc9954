package socket

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// now is what WriteNow needs, bound as quiet is.
//
// A WSASend that is given no OVERLAPPED is synchronous, on a socket for overlapped operations too: when it returns it is over, and
// no completion is told to anybody. On a non-blocking socket it sends what fits, or fails with WSAEWOULDBLOCK; the first WriteNow makes
// the socket one. Package net does not notice: its own operations are overlapped, and the mode means nothing to them. See
// learn.microsoft.com/windows/win32/
//
//   - api/winsock2/nf-winsock2-wsasend
//   - winsock/summary-of-overlapped-completion-indication-mechanisms-in-the-spi-2
//   - winsock/socket-attribute-flags-and-modes-2
//
// libuv, and so Node.js, sends in both ways on one socket as well: uv_write and uv_try_write.
type now struct {
	raw         syscall.RawConn // nil: the socket cannot tell
	send        func(fd uintptr) bool
	nonBlocking bool

	pieces *net.Buffers // what is left
	taken  int64

	vector [maxPieces]windows.WSABuf // of one WSASend
	sent   uint32                    // by it
}

// maxNow is how much one WSASend is given: as long as its quota is not used up, Windows takes whatever it is given, into memory that
// is never paged out. The head and the first piece of a response fit.
const maxNow = 128 << 10

// fionbio is FIONBIO of winsock2.h, which WSAIoctl knows.
const fionbio = 0x8004667e

// bind passes over a connection that is not package net's: it may do something to what is written.
func (n *now) bind(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		n.raw, n.send = raw, n.sendAll
	}
}

func (n *now) write(pieces *net.Buffers) int64 {
	if n.raw == nil {
		return 0
	}
	n.pieces, n.taken = pieces, 0
	_ = n.raw.Write(n.send) // holds the lock of Writes, so that none of them is under way
	n.pieces = nil
	return n.taken
}

// sendAll sends until all has been sent, or the socket takes less than it was given. It is always done.
func (n *now) sendAll(fd uintptr) (done bool) {
	handle := windows.Handle(fd)
	if !n.nonBlocking && !n.setNonBlocking(handle) {
		return true
	}
	for consume(n.pieces, 0); len(*n.pieces) > 0; {
		count, size := n.fill()
		if windows.WSASend(handle, &n.vector[0], count, &n.sent, 0, nil, nil) != nil {
			break
		}
		n.taken += int64(n.sent)
		consume(n.pieces, int(n.sent))
		if n.sent < size {
			break
		}
	}
	clear(n.vector[:])
	return true
}

// fill makes the vector of the next pieces, and returns its length and how many bytes that are.
func (n *now) fill() (count, size uint32) {
	for _, p := range *n.pieces {
		if count == maxPieces || size == maxNow {
			break
		}
		if length := uint32(min(len(p), int(maxNow-size))); length > 0 {
			n.vector[count] = windows.WSABuf{Len: length, Buf: &p[0]}
			count++
			size += length
		}
	}
	return count, size
}

func (n *now) setNonBlocking(handle windows.Handle) bool {
	on, returned := uint32(1), uint32(0)
	err := windows.WSAIoctl(handle, fionbio, (*byte)(unsafe.Pointer(&on)), uint32(unsafe.Sizeof(on)), nil, 0, &returned, nil, 0)
	n.nonBlocking = err == nil
	return n.nonBlocking
}
