package socket

import "syscall"

// quiet is what Quiet needs. It is bound once per socket, so that asking does not allocate.
type quiet struct {
	raw  syscall.RawConn // nil: the socket cannot be asked
	ask  func(fd uintptr)
	look look // one per platform: makes the system call
	is   bool // what it has found
}

func (q *quiet) bind(raw syscall.RawConn) {
	q.raw = raw
	q.ask = func(fd uintptr) { q.is = q.look.nothing(fd) }
}

// Quiet says whether nothing is to be read at the moment, not even the end of the stream; the reader may call it. It
// costs one system call and does not wait. A socket that cannot be asked is not quiet.
func (s *Socket) Quiet() bool {
	if s.own != nil {
		return s.own.Quiet()
	}
	q := &s.ask.quiet
	if q.raw == nil {
		layer, ok := s.Conn.(*Layer)
		return ok && layer.Quiet()
	}
	q.is = false
	return q.raw.Control(q.ask) == nil && q.is
}
