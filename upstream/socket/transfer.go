//go:build linux && (amd64 || arm64)

package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Read or Write of a descriptor is one recv(2) or send(2), and none as long as the loop has seen nothing since the last one found
// nothing more. BenchmarkSocket compares it with a net.Conn.

// Read reads what there is, and waits when there is nothing.
func (d *descriptor) Read(p []byte) (int, error) { return d.read(p, d.task) }

// ReadAside is Read for a goroutine beside the task.
func (d *descriptor) ReadAside(p []byte) (int, error) { return d.read(p, nil) }

func (d *descriptor) read(p []byte, t *Task) (int, error) {
	if !d.hold() {
		return 0, d.fail("read", net.ErrClosed)
	}
	defer d.release()
	if err := d.check(&d.in); err != nil {
		return 0, d.fail("read", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	if d.ahead != nil {
		return d.readAhead(p)
	}
	for look := d.in.take() || d.hungUp.Load(); ; look = true {
		if look {
			n, errno := d.receive(p)
			switch {
			case errno == 0 && n == 0:
				d.hungUp.Store(true)
				return 0, d.undelivered(io.EOF)
			case errno == 0:
				if n == len(p) {
					d.in.mark() // there may be more
				}
				return n, nil
			case errno != unix.EAGAIN:
				d.in.mark()
				return 0, d.undelivered(d.fail("read", os.NewSyscallError("recv", errno)))
			}
		}
		if err := d.undelivered(nil); err != nil {
			return 0, err
		}
		if err := d.wait(&d.in, t); err != nil {
			return 0, d.fail("read", err)
		}
	}
}

// message is what is left to write. It is lent to who writes: a socket that waits has none.
type message struct {
	unix.Msghdr // of pieces, from Iov on

	pieces [maxPieces]unix.Iovec
}

var messages = sync.Pool{New: func() any { return &message{} }}

func newMessage() *message {
	m, ok := messages.Get().(*message)
	if !ok {
		panic("socket: pool of something else")
	}
	return m
}

// Write writes all of p.
func (d *descriptor) Write(p []byte) (int, error) {
	m := newMessage()
	m.add(p)
	return d.flush(m, true)
}

// WriteBuffers writes all of the pieces in order, and takes off the slice what was written.
func (d *descriptor) WriteBuffers(pieces *net.Buffers) (int64, error) {
	written := int64(0)
	for len(*pieces) > 0 {
		m := newMessage()
		m.addAll(*pieces)
		n, err := d.flush(m, true)
		written += int64(n)
		consume(pieces, n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// WriteNow writes what the socket takes at once, see Socket.WriteNow.
func (d *descriptor) WriteNow(pieces *net.Buffers) int64 {
	m := newMessage()
	m.addAll(*pieces)
	n, _ := d.flush(m, false)
	consume(pieces, n)
	return int64(n)
}

// add appends a piece.
func (m *message) add(p []byte) {
	if len(p) == 0 {
		return
	}
	piece := &m.pieces[m.Iovlen]
	piece.Base = &p[0]
	piece.SetLen(len(p))
	m.Iovlen++
}

// addAll appends as many pieces as fit.
func (m *message) addAll(pieces [][]byte) {
	for i := 0; i < len(pieces) && m.Iovlen < maxPieces; i++ {
		m.add(pieces[i])
	}
}

// flush writes the message, which is not the caller's any more: all of it, or, without waiting and whatever the deadline, what the
// socket takes at once.
func (d *descriptor) flush(m *message, waits bool) (wrote int, err error) {
	if used := m.Iovlen; used > 0 {
		m.Iov = &m.pieces[0]
		wrote, err = d.send(m, waits)
		clear(m.pieces[:used])
		m.Msghdr = unix.Msghdr{}
	}
	messages.Put(m)
	if err != nil {
		err = d.fail("write", err)
	}
	return wrote, err
}

func (d *descriptor) send(m *message, waits bool) (wrote int, err error) {
	if !d.hold() {
		return 0, net.ErrClosed
	}
	defer d.release()
	if err := d.check(&d.out); err != nil && waits {
		return 0, err
	}
	if settled, err := d.settle(waits); !settled {
		return 0, err
	}
	for {
		n, errno := d.sendMost(m)
		wrote += n
		switch {
		case errno == 0, errno == unix.EAGAIN && !waits:
			return wrote, nil
		case errno != unix.EAGAIN:
			return wrote, os.NewSyscallError("send", errno)
		}
		if err := d.wait(&d.out, d.task); err != nil {
			return wrote, err
		}
	}
}

// sendMost sends until there is nothing left, or why that is not so: EAGAIN, if the socket takes no more.
func (d *descriptor) sendMost(m *message) (wrote int, errno syscall.Errno) {
	for m.Iovlen > 0 {
		switch n, errno := d.sendOnce(m); errno {
		case 0:
			wrote += int(n)
			m.advance(uint64(n))
		case unix.EINTR:
		default:
			return wrote, errno
		}
	}
	return wrote, 0
}

// advance takes n written bytes off.
func (m *message) advance(n uint64) {
	for m.Iovlen > 0 {
		first := m.Iov
		if n < first.Len {
			first.Base = (*byte)(unsafe.Add(unsafe.Pointer(first.Base), n))
			first.Len -= n
			return
		}
		n -= first.Len
		if m.Iovlen--; m.Iovlen == 0 {
			return
		}
		m.Iov = (*unix.Iovec)(unsafe.Add(unsafe.Pointer(first), unsafe.Sizeof(*first)))
	}
}
