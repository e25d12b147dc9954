//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Acceptor accepts sockets that loops wait for, if the listener is one of the system; otherwise it accepts what the listener does.
type Acceptor struct {
	net.Listener

	d   *descriptor     // the listening socket in a loop; nil: none
	raw syscall.RawConn // of the listener, whose descriptor it is

	local net.Addr // of what it accepts; nil: that is different from one to the other

	take func(fd uintptr) // bound once
	fd   int              // what it has got
	from syscall.Sockaddr
	err  error
}

// keepalive asks the other side after a silence whether it is still there.
var keepalive = [...]struct{ option, value int }{ // constant
	{unix.TCP_KEEPIDLE, 15}, {unix.TCP_KEEPINTVL, 15}, {unix.TCP_KEEPCNT, 4},
}

// NewAcceptor returns an Acceptor for the listener, which it closes. What it accepts has TCP's keep-alive, and sends at once what is
// written: sockets inherit both from the listening one.
func NewAcceptor(listener net.Listener) *Acceptor {
	a := &Acceptor{Listener: listener}
	a.take = a.accept
	own, network := syscall.Conn(nil), "tcp"
	switch listener := listener.(type) {
	case *net.TCPListener:
		own = listener
	case *net.UnixListener:
		own, network = listener, "unix"
	}
	if own == nil {
		return a
	}
	l := anyLoop()
	if l == nil {
		return a
	}
	var err error
	if a.raw, err = own.SyscallConn(); err != nil {
		return a
	}
	if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsUnspecified() {
		a.local = listener.Addr()
	}
	_ = a.raw.Control(func(fd uintptr) { // what fails here is the listener's own Accept to say
		if network == "tcp" {
			inherit(int(fd))
		}
		a.d, _ = attend(int(fd), l, network, unix.EPOLLIN, true)
	})
	return a
}

// inherit sets what accepted sockets are to have. A setting that fails costs time or a descriptor, and no request.
func inherit(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	for _, k := range keepalive {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, k.option, k.value)
	}
}

// Serve runs accept, which calls Accept, and returns when that has ended. It is a task of the loop, if there is one.
func (a *Acceptor) Serve(accept func(t *Task)) {
	if a.d == nil {
		accept(nil)
		return
	}
	ended := make(chan struct{})
	a.d.loop.post(work{job: func(t *Task) {
		defer close(ended)
		a.d.task = t
		accept(t)
	}})
	<-ended
}

// Accept waits for the next connection. One at a time calls it.
func (a *Acceptor) Accept() (net.Conn, error) {
	if a.d == nil {
		return a.Listener.Accept()
	}
	c, err := a.next()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: a.d.network, Addr: a.Addr(), Err: err}
	}
	return c, nil
}

// next accepts, or waits. A client that has come before the deadline is accepted after it: if the listener is closed, it would be reset.
func (a *Acceptor) next() (*descriptor, error) {
	for {
		a.d.in.take()
		if err := a.raw.Control(a.take); err != nil {
			return nil, err
		}
		switch {
		case a.err == nil:
			c, err := adopt(a.fd, anyLoop(), a.d.network)
			if err == nil {
				c.local, c.remote = a.local, addr(a.from)
			}
			return c, err
		case !errors.Is(a.err, unix.EAGAIN):
			return nil, os.NewSyscallError("accept4", a.err)
		}
		if err := a.d.check(&a.d.in); err != nil {
			return nil, err
		}
		_ = a.d.wait(&a.d.in, a.d.task) // whatever ends it, somebody may have come
	}
}

// accept accepts once.
func (a *Acceptor) accept(fd uintptr) {
	for {
		a.fd, a.from, a.err = syscall.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if !errors.Is(a.err, unix.EINTR) && !errors.Is(a.err, unix.ECONNABORTED) { // the latter has left again
			return
		}
	}
}

// SetDeadline sets when Accept ends at the latest; false: the listener knows no deadlines, or is closed.
func (a *Acceptor) SetDeadline(t time.Time) bool {
	if a.d != nil {
		return a.d.SetReadDeadline(t) == nil
	}
	return setDeadline(a.Listener, t)
}

// Notice ends Accept if the listener was closed by somebody else.
func (a *Acceptor) Notice() {
	if a.d != nil && a.raw.Control(func(uintptr) {}) != nil {
		_ = a.d.Close()
	}
}

// Close closes the listener.
func (a *Acceptor) Close() error {
	if a.d != nil {
		_ = a.raw.Control(func(fd uintptr) { // as long as the number is the listener's
			_ = unix.EpollCtl(a.d.loop.epoll, unix.EPOLL_CTL_DEL, int(fd), nil)
		})
		_ = a.d.Close()
	}
	return a.Listener.Close()
}
