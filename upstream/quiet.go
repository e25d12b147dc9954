package upstream

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// An idle connection is fit for the next request when the peer has neither closed it nor sent anything on it: bytes that
// nobody asked for would be taken for the answer to the next request. watch is that check; it costs one system call and
// waits for nothing. watchCall, one per platform, makes the call.

// watch asks the system whether there is something to read. It is bound once per connection, so that asking does not
// allocate.
type watch struct {
	raw   syscall.RawConn // nil: the connection cannot be asked
	look  func(fd uintptr)
	quiet bool // what look has found
	call  watchCall
}

func (w *watch) bind(nc net.Conn) {
	if sc, ok := nc.(syscall.Conn); ok {
		w.raw, _ = sc.SyscallConn()
	}
	w.look = func(fd uintptr) { w.quiet = w.call.nothing(fd) }
}

// nothing says whether nothing is to be read from the connection, not even its end. One that cannot be asked is not quiet.
func (w *watch) nothing() bool {
	w.quiet = false
	return w.raw != nil && w.raw.Control(w.look) == nil && w.quiet
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func asNetError(err error, target *net.Error) bool { return errors.As(err, target) }
