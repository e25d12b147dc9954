package socket

import "syscall"

// writable is what Writable needs, bound as quiet is.
type writable struct {
	raw  syscall.RawConn // nil: the socket cannot be asked
	ask  func(fd uintptr)
	poll poll // one per platform: makes the system call
	is   bool // what it has found
}

func (w *writable) bind(raw syscall.RawConn) {
	w.raw = raw
	w.ask = func(fd uintptr) { w.is = w.poll.room(fd) }
}

// Writable says whether the socket takes more at the moment, that is, whether a Write that waits is about to go on. One
// goroutine at a time may call it, beside those that read and write. It costs one system call and does not wait. A socket
// that cannot be asked, or is closed, is not writable.
func (s *Socket) Writable() bool {
	if s.own != nil {
		return s.own.Writable()
	}
	w := &s.ask.writable
	w.is = false
	return w.raw != nil && w.raw.Control(w.ask) == nil && w.is
}
