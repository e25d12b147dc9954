//go:build linux && (amd64 || arm64)

package socket

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// posted is what was posted and has not been sent.
type posted struct {
	mu     sync.Mutex             // held by whoever sends it
	letter atomic.Pointer[letter] // nil: there is nothing
	lost   atomic.Uint32          // the number of the error, if one could not be sent
}

// letter is a message with its own memory.
type letter struct {
	message

	room [maxPost]byte
}

// maxPost is how much is copied to be sent later, at most.
const maxPost = 8 << 10

var letters = sync.Pool{New: func() any { return &letter{} }}

// Post has the pieces sent when the tasks that go on in this turn of the loop have done so, see Socket.Post. It returns their length.
func (d *descriptor) Post(first []byte, more [][]byte) int {
	size := len(first)
	for _, p := range more {
		size += len(p)
	}
	t := d.task
	if t == nil || size == 0 || size > maxPost || d.owes() || !t.place.CompareAndSwap(inside, paused) { // as if paused: nobody expels it
		return 0
	}
	l := t.loop
	company := l.done < len(l.queue) || len(l.outgoing) > 0
	if company = company && d.check(&d.out) == nil && d.hold(); company {
		d.letter.Store(newLetter(first, more))
		l.outgoing = append(l.outgoing, d)
	} else {
		size = 0
	}
	t.place.Store(inside)
	return size
}

// newLetter is a letter with the pieces, which fit.
func newLetter(first []byte, more [][]byte) *letter {
	m, ok := letters.Get().(*letter)
	if !ok {
		panic("socket: pool of something else")
	}
	n := copy(m.room[:], first)
	for _, p := range more {
		n += copy(m.room[n:], p)
	}
	m.add(m.room[:n])
	m.Iov = &m.pieces[0]
	return m
}

// owes says whether something is still to be sent.
func (p *posted) owes() bool { return p.letter.Load() != nil }

// deliver sends what was posted, as far as the socket takes it: the rest when the loop learns that it takes more. The caller holds d.
func (d *descriptor) deliver() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m := d.letter.Load(); m != nil {
		_, errno := d.sendMost(&m.message)
		d.conclude(m, errno)
	}
}

// lockLetter returns what is to be sent, and locks it until unlockLetter; nil: there is nothing, or somebody is sending it.
func (d *descriptor) lockLetter() []byte {
	if !d.mu.TryLock() {
		return nil
	}
	m := d.letter.Load()
	if m == nil {
		d.mu.Unlock()
		return nil
	}
	return unsafe.Slice(m.Iov.Base, m.Iov.Len)
}

// unlockLetter goes on as deliver does, n bytes having been sent.
func (d *descriptor) unlockLetter(n int, errno syscall.Errno) {
	defer d.mu.Unlock()
	m := d.letter.Load()
	if errno == 0 || errno == unix.EINTR {
		m.advance(uint64(n))
		_, errno = d.sendMost(&m.message)
	}
	d.conclude(m, errno)
}

// conclude notes why the letter was not sent, or not all of it, or that it was.
func (d *descriptor) conclude(m *letter, errno syscall.Errno) {
	if errno == unix.EAGAIN {
		d.attend()
		return
	}
	if errno != 0 {
		d.lost.Store(uint32(errno))
		d.in.notify(nil)
	}
	d.letter.Store(nil)
	m.pieces[0], m.Msghdr = unix.Iovec{}, unix.Msghdr{}
	letters.Put(m)
}

// deliverMore is deliver for a socket that takes more.
func (d *descriptor) deliverMore() {
	if d.owes() && d.hold() {
		d.deliver()
		d.release()
	}
}

// settle sends what was posted before anything else is: it waits for the socket to take it, or else says whether it did.
func (d *descriptor) settle(waits bool) (settled bool, err error) {
	for d.owes() {
		d.deliver()
		switch {
		case !d.owes():
			return true, nil
		case !waits:
			return false, nil
		}
		if err := d.wait(&d.out, d.task); err != nil {
			return false, err
		}
	}
	return true, nil
}

// undelivered returns err, why nothing can be read, or if a posted message could not be sent, that: it was first.
func (d *descriptor) undelivered(err error) error {
	if lost := d.lost.Load(); lost != 0 {
		return d.fail("write", os.NewSyscallError("send", syscall.Errno(lost)))
	}
	return err
}
