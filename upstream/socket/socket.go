package socket

import (
	"net"
	"syscall"
)

// Socket is a connected TCP or unix socket. One goroutine may read while another writes.
type Socket struct {
	net.Conn
	io       transfer
	quiet    quiet
	writable writable
}

// New returns conn as a Socket; a conn that is no socket of the system works as it is.
func New(conn net.Conn) *Socket {
	s := &Socket{Conn: conn}
	if raw, err := s.SyscallConn(); err == nil {
		s.io.bind(raw)
		s.quiet.bind(raw)
		s.writable.bind(raw)
	}
	return s
}

// Read reads what there is, at most len(p) bytes, and waits when there is nothing.
func (s *Socket) Read(p []byte) (int, error) { return s.io.read(s.Conn, p) }

// Write writes all of p.
func (s *Socket) Write(p []byte) (int, error) { return s.io.write(s.Conn, p) }

// WriteBuffers writes all of the pieces in order, in as few system calls as the platform can, and takes off the slice
// what was written.
func (s *Socket) WriteBuffers(pieces *net.Buffers) (int64, error) {
	return s.io.writeBuffers(s.Conn, pieces)
}

// CloseWrite ends the sending side, so that the other side reads the end of the stream.
func (s *Socket) CloseWrite() error {
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok {
		return syscall.EINVAL
	}
	return half.CloseWrite()
}

// SetLinger sets what becomes of unsent bytes at Close, as net.TCPConn's method; with 0 the other side gets a reset.
func (s *Socket) SetLinger(seconds int) error {
	tcp, ok := s.Conn.(*net.TCPConn)
	if !ok {
		return syscall.EINVAL
	}
	return tcp.SetLinger(seconds)
}

// SyscallConn gives access to the descriptor; an error without one.
func (s *Socket) SyscallConn() (syscall.RawConn, error) {
	if sc, ok := s.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}
