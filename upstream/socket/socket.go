package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// Socket is a connected TCP or unix socket. One goroutine may read while another writes.
type Socket struct {
	net.Conn

	own own  // Conn, if a loop waits for it
	ask *ask // otherwise
}

// ask is what Quiet, Writable and WriteNow need of a socket that no loop waits for.
type ask struct {
	quiet    quiet
	writable writable
	now      now
}

// own is what only the connections of a loop can do; see there.
type own interface {
	WriteBuffers(pieces *net.Buffers) (int64, error)
	WriteNow(pieces *net.Buffers) int64
	Post(first []byte, more [][]byte) int
	SendFile(file *os.File, offset, n int64) (int64, error)
	Bind(t *Task)
	Near(t *Task) bool
	ReadAside(p []byte) (int, error)
	AwaitRead()
	Untouched() bool
	MayHaveEnded() bool
	Await(job func(*Task))
	Quiet() bool
	Writable() bool
	SetLinger(seconds int) error
}

// New returns conn as a Socket; a conn that is no socket of the system works as it is.
func New(conn net.Conn) *Socket {
	s := Of(conn)
	return &s
}

// Of is New for who has room for a Socket. A copy is the same socket.
func Of(conn net.Conn) Socket {
	s := Socket{Conn: conn}
	if s.own, _ = conn.(own); s.own != nil {
		return s
	}
	s.ask = &ask{}
	if raw, err := s.SyscallConn(); err == nil {
		s.ask.quiet.bind(raw)
		s.ask.writable.bind(raw)
	}
	s.ask.now.bind(conn)
	return s
}

// WriteBuffers writes all of the pieces in order, in as few system calls as the platform can, and takes off the slice
// what was written.
func (s *Socket) WriteBuffers(pieces *net.Buffers) (int64, error) {
	if s.own != nil {
		return s.own.WriteBuffers(pieces)
	}
	return pieces.WriteTo(s.Conn)
}

// Post has a small message sent soon, together with what other tasks have posted, which is cheaper than a Write by each of them. It is
// for who need not know at once what becomes of it, as if it lay in the socket already: it goes before what is written later, and
// after Close, too, if the socket takes it at once; what is wrong with the socket, the next Read says that finds nothing. False:
// nothing was posted, and a Write is as cheap.
func (s *Socket) Post(p []byte) bool { return s.own != nil && s.own.Post(p, nil) > 0 }

// PostBuffers is Post for all of the pieces, in order. It takes them off the slice and returns their length; 0: nothing was posted.
func (s *Socket) PostBuffers(pieces *net.Buffers) int64 {
	if s.own == nil {
		return 0
	}
	n := s.own.Post(nil, *pieces)
	consume(pieces, n)
	return int64(n)
}

// SendFile writes n bytes of the file from offset on, as Write does, and the system takes them straight from the file: until they have
// arrived, nobody may change them there. It returns fewer without an error when the file has no more that the system sends so, and if
// that is nothing at all, or the socket cannot do it, errors.ErrUnsupported: whoever reads the file learns what is wrong with it.
func (s *Socket) SendFile(file *os.File, offset, n int64) (int64, error) {
	if s.own == nil {
		return 0, errors.ErrUnsupported
	}
	return s.own.SendFile(file, offset, n)
}

// Bind says that the task uses the socket from now on: what has to wait waits in its loop. Nil is a goroutine. Nobody may be waiting for
// the socket.
func (s *Socket) Bind(t *Task) {
	if s.own != nil {
		s.own.Bind(t)
	} else if layer, ok := s.Conn.(*Layer); ok {
		layer.under.Bind(t)
	}
}

// Near says whether the task's loop is the one that waits for the socket, so that Bind is cheap.
func (s *Socket) Near(t *Task) bool {
	if layer, ok := s.Conn.(*Layer); ok {
		return layer.under.Near(t)
	}
	return s.own == nil || s.own.Near(t)
}

// ReadAside is Read for a goroutine beside the task that the socket is bound to.
func (s *Socket) ReadAside(p []byte) (int, error) {
	if s.own != nil {
		return s.own.ReadAside(p)
	}
	return s.Read(p)
}

// AwaitRead waits until there is something to read, the read deadline has passed or the socket was closed, so that the memory to read
// into need not be there before; the Read that follows finds which it was. A socket that no loop waits for does not wait here.
func (s *Socket) AwaitRead() {
	if s.own != nil {
		s.own.AwaitRead()
	}
}

// Untouched says that nothing has come since the last Read, as far as is known without asking the system; if it is not
// known at all, false.
func (s *Socket) Untouched() bool { return s.own != nil && s.own.Untouched() }

// MayHaveEnded says whether the other side may have ended its sending, or the connection, for all that is known without a Read.
func (s *Socket) MayHaveEnded() bool { return s.own == nil || s.own.MayHaveEnded() }

// Await has a task do the job when there is something to read, or the read deadline has passed, or the socket was closed; until then
// the connection takes no more than its own memory. False: there are no tasks, and nothing was done. After true the caller, who
// may be the last task, must not use the socket any more.
func (s *Socket) Await(job func(*Task)) bool {
	if s.own == nil {
		return false
	}
	s.own.Await(job)
	return true
}

// CloseWrite ends the sending side, so that the other side reads the end of the stream.
func (s *Socket) CloseWrite() error {
	half, ok := s.Conn.(interface{ CloseWrite() error })
	if !ok {
		return syscall.EINVAL
	}
	return half.CloseWrite()
}

// SetLinger sets what becomes of unsent bytes at Close, as net.TCPConn's method; with 0 the other side gets a reset. More than 0 would
// hold up the loop.
func (s *Socket) SetLinger(seconds int) error {
	if s.own != nil {
		return s.own.SetLinger(seconds)
	}
	tcp, ok := s.Conn.(*net.TCPConn)
	if !ok {
		return syscall.EINVAL
	}
	return tcp.SetLinger(seconds)
}

// SyscallConn gives access to the descriptor; an error without one.
func (s *Socket) SyscallConn() (syscall.RawConn, error) { return rawConn(s.Conn) }

func rawConn(of any) (syscall.RawConn, error) {
	if sc, ok := of.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return nil, syscall.EINVAL
}
