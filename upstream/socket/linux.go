//go:build !race && linux && (amd64 || arm64)

package socket

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// maxPieces is how many pieces one system call writes: a head and a body, or a few records with their headers.
const maxPieces = 8

// transfer does one recvfrom, sendto or sendmsg per turn on the descriptor, which Go has made non-blocking. syscall.RawConn calls
// the functions below again when the poller says that the descriptor is ready. RawSyscall leaves out what Go does around
// calls that may block, which costs more than the transfer of a small message; with MSG_DONTWAIT these never block.
type transfer struct {
	raw syscall.RawConn // nil: conn is no socket of the system

	// Of the reader.
	readOnce func(fd uintptr) bool // bound once, so that a Read does not allocate
	readInto []byte
	got      int
	readErr  syscall.Errno

	// Of the writer.
	writeAll func(fd uintptr) bool
	vector   [maxPieces]syscall.Iovec
	message  syscall.Msghdr // of vector; Iov and Iovlen are what is left to write
	wrote    int
	writeErr syscall.Errno
}

func (t *transfer) bind(raw syscall.RawConn) {
	t.raw, t.readOnce, t.writeAll = raw, t.receive, t.send
}

func (t *transfer) read(conn net.Conn, p []byte) (int, error) {
	if t.raw == nil || len(p) == 0 {
		return conn.Read(p)
	}
	t.readInto, t.got, t.readErr = p, 0, 0
	err := t.raw.Read(t.readOnce)
	t.readInto = nil
	switch {
	case err != nil:
		return 0, err
	case t.readErr != 0:
		return 0, &net.OpError{
			Op: "read", Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(),
			Err: os.NewSyscallError("recv", t.readErr),
		}
	case t.got == 0:
		return 0, io.EOF
	}
	return t.got, nil
}

// receive reads once; false means that there is nothing yet.
func (t *transfer) receive(fd uintptr) bool {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&t.readInto[0])),
			uintptr(len(t.readInto)), syscall.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			t.got = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.readErr = errno
			return true
		}
	}
}

func (t *transfer) write(conn net.Conn, p []byte) (int, error) {
	if t.raw == nil || len(p) == 0 {
		return conn.Write(p)
	}
	t.add(p)
	return t.flush(conn)
}

func (t *transfer) writeBuffers(conn net.Conn, pieces *net.Buffers) (int64, error) {
	if t.raw == nil {
		return pieces.WriteTo(conn)
	}
	written := int64(0)
	for len(*pieces) > 0 {
		for i := 0; i < len(*pieces) && t.message.Iovlen < maxPieces; i++ {
			t.add((*pieces)[i])
		}
		n, err := t.flush(conn)
		written += int64(n)
		consume(pieces, n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// consume takes n written bytes, and pieces that are empty, off the front.
func consume(pieces *net.Buffers, n int) {
	for len(*pieces) > 0 {
		first := (*pieces)[0]
		if n < len(first) {
			(*pieces)[0] = first[n:]
			return
		}
		n -= len(first)
		(*pieces)[0] = nil
		*pieces = (*pieces)[1:]
	}
}

// add appends a piece to the message.
func (t *transfer) add(p []byte) {
	if len(p) == 0 {
		return
	}
	piece := &t.vector[t.message.Iovlen]
	piece.Base = &p[0]
	piece.SetLen(len(p))
	t.message.Iovlen++
}

// flush writes the message.
func (t *transfer) flush(conn net.Conn) (int, error) {
	used := t.message.Iovlen
	if used == 0 {
		return 0, nil
	}
	t.message.Iov = &t.vector[0]
	t.wrote, t.writeErr = 0, 0
	err := t.raw.Write(t.writeAll)
	clear(t.vector[:used])
	t.message = syscall.Msghdr{}
	if err == nil && t.writeErr != 0 {
		err = &net.OpError{
			Op: "write", Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(),
			Err: os.NewSyscallError("send", t.writeErr),
		}
	}
	return t.wrote, err
}

// send writes until all is gone; false means that the socket takes no more for now.
func (t *transfer) send(fd uintptr) bool {
	for t.message.Iovlen > 0 {
		n, errno := t.sendOnce(fd)
		switch errno {
		case 0:
			t.wrote += int(n)
			t.advance(uint64(n))
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			t.writeErr = errno
			return true
		}
	}
	return true
}

// sendOnce writes what the socket takes. One piece goes without the message around it, which the kernel would copy too.
func (t *transfer) sendOnce(fd uintptr) (uintptr, syscall.Errno) {
	const flags = syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL
	if piece := t.message.Iov; t.message.Iovlen == 1 {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(piece.Base)),
			uintptr(piece.Len), flags, 0, 0)
		return n, errno
	}
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&t.message)), flags)
	return n, errno
}

// advance takes n written bytes off the message.
func (t *transfer) advance(n uint64) {
	for t.message.Iovlen > 0 {
		first := t.message.Iov
		if n < first.Len {
			first.Base = (*byte)(unsafe.Add(unsafe.Pointer(first.Base), n))
			first.Len -= n
			return
		}
		n -= first.Len
		if t.message.Iovlen--; t.message.Iovlen == 0 {
			return
		}
		t.message.Iov = (*syscall.Iovec)(unsafe.Add(unsafe.Pointer(first), unsafe.Sizeof(*first)))
	}
}

// look is struct pollfd and the timespec 0 of ppoll(2). A read that peeks would do, but takes a reset off the socket, so that
// the Read that follows finds the end of the stream.
type look struct {
	fd      int32
	events  int16
	revents int16
	wait    syscall.Timespec
}

// pollIn asks for readable data; errors and hang-ups are reported unasked.
const pollIn = 0x1

func (l *look) nothing(fd uintptr) bool {
	for {
		*l = look{fd: int32(fd), events: pollIn}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(l)), 1, uintptr(unsafe.Pointer(&l.wait)), 0, 0, 0)
		if errno != syscall.EINTR {
			return errno == 0 && n == 0
		}
	}
}
