//go:build linux && (amd64 || arm64)

package socket

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// received is what a loop has received before it is read.
type received struct {
	errno    syscall.Errno // instead: why there is nothing
	from, to int           // what is still to be read of room
	room     [maxAhead]byte
}

// maxAhead is how much is received ahead at most.
const maxAhead = 8 << 10

var receiveds = sync.Pool{New: func() any { return &received{} }}

// makeRoom returns room to receive ahead, for the Read that is to follow, of whoever is about to be woken.
func (d *descriptor) makeRoom() []byte {
	r, ok := receiveds.Get().(*received)
	if !ok {
		panic("socket: pool of something else")
	}
	d.in.take()
	d.ahead = r
	return r.room[:]
}

// hasReceived notes what has come into that room.
func (d *descriptor) hasReceived(n int, errno syscall.Errno) {
	r := d.ahead
	if errno == 0 && n == 0 || errno == unix.EAGAIN {
		if errno == 0 {
			d.hungUp.Store(true) // the Read finds the end by itself
		}
		d.ahead = nil
		receiveds.Put(r)
		return
	}
	if errno != 0 || n == maxAhead {
		d.in.mark() // there may be more
	}
	r.errno, r.from, r.to = errno, 0, max(0, n)
}

// readAhead is Read for what was received ahead.
func (d *descriptor) readAhead(p []byte) (n int, err error) {
	r := d.ahead
	if r.errno == 0 {
		n = copy(p, r.room[r.from:r.to])
		r.from += n
	} else {
		err = d.undelivered(d.fail("read", os.NewSyscallError("recv", r.errno)))
	}
	if r.from == r.to {
		d.ahead = nil
		receiveds.Put(r)
	}
	return n, err
}
