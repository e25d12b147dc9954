//go:build linux && (amd64 || arm64)

package socket

import (
	"io"
	"net"
	"os"
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
	for look := d.in.take() || d.hungUp.Load(); ; look = true {
		if look {
			n, errno := d.receive(p)
			switch {
			case errno == 0 && n == 0:
				d.hungUp.Store(true)
				return 0, io.EOF
			case errno == 0:
				if n == len(p) {
					d.in.mark() // there may be more
				}
				return n, nil
			case errno != unix.EAGAIN:
				d.in.mark()
				return 0, d.fail("read", os.NewSyscallError("recv", errno))
			}
		}
		if err := d.wait(&d.in, t); err != nil {
			return 0, d.fail("read", err)
		}
	}
}

// Write writes all of p.
func (d *descriptor) Write(p []byte) (int, error) {
	d.add(p)
	return d.flush(true)
}

// WriteBuffers writes all of the pieces in order, and takes off the slice what was written.
func (d *descriptor) WriteBuffers(pieces *net.Buffers) (int64, error) {
	written := int64(0)
	for len(*pieces) > 0 {
		d.addAll(*pieces)
		n, err := d.flush(true)
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
	d.addAll(*pieces)
	n, _ := d.flush(false)
	consume(pieces, n)
	return int64(n)
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
func (d *descriptor) add(p []byte) {
	if len(p) == 0 {
		return
	}
	piece := &d.vector[d.message.Iovlen]
	piece.Base = &p[0]
	piece.SetLen(len(p))
	d.message.Iovlen++
}

// addAll appends as many pieces as fit.
func (d *descriptor) addAll(pieces [][]byte) {
	for i := 0; i < len(pieces) && d.message.Iovlen < maxPieces; i++ {
		d.add(pieces[i])
	}
}

// flush writes the message: all of it, or, without waiting and whatever the deadline, what the socket takes at once.
func (d *descriptor) flush(waits bool) (int, error) {
	used := d.message.Iovlen
	if used == 0 {
		return 0, nil
	}
	d.message.Iov = &d.vector[0]
	wrote, err := d.send(waits)
	clear(d.vector[:used])
	d.message = unix.Msghdr{}
	if err != nil {
		err = d.fail("write", err)
	}
	return wrote, err
}

func (d *descriptor) send(waits bool) (wrote int, err error) {
	if !d.hold() {
		return 0, net.ErrClosed
	}
	defer d.release()
	if err := d.check(&d.out); err != nil && waits {
		return 0, err
	}
	for d.message.Iovlen > 0 {
		n, errno := d.sendOnce()
		switch errno {
		case 0:
			wrote += int(n)
			d.advance(uint64(n))
		case unix.EINTR:
		case unix.EAGAIN:
			if !waits {
				return wrote, nil
			}
			if err := d.wait(&d.out, d.task); err != nil {
				return wrote, err
			}
		default:
			return wrote, os.NewSyscallError("send", errno)
		}
	}
	return wrote, nil
}

// advance takes n written bytes off the message.
func (d *descriptor) advance(n uint64) {
	for d.message.Iovlen > 0 {
		first := d.message.Iov
		if n < first.Len {
			first.Base = (*byte)(unsafe.Add(unsafe.Pointer(first.Base), n))
			first.Len -= n
			return
		}
		n -= first.Len
		if d.message.Iovlen--; d.message.Iovlen == 0 {
			return
		}
		d.message.Iov = (*unix.Iovec)(unsafe.Add(unsafe.Pointer(first), unsafe.Sizeof(*first)))
	}
}
