//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"math"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Acceptor accepts sockets that loops wait for, if the listener is one of the system; otherwise it accepts what the listener does.
type Acceptor struct {
	net.Listener // closed, if d is there

	d      *descriptor // the listening socket; nil: it is the listener's
	local  net.Addr    // of what it accepts; nil: that is different from one to the other
	file   string      // of a unix socket: goes with it
	closed atomic.Bool

	came   int                    // how many may not have been accepted yet
	counts bool                   // the system says how many have come
	from   syscall.RawSockaddrAny // who has come last
}

// keepalive asks the other side after a silence whether it is still there.
var keepalive = [...]struct{ option, value int }{ // constant
	{unix.TCP_KEEPIDLE, 15}, {unix.TCP_KEEPINTVL, 15}, {unix.TCP_KEEPCNT, 4},
}

// NewAcceptor returns an Acceptor in place of the listener. What it accepts has TCP's keep-alive, and sends at once what is
// written: sockets inherit both from the listening one. On Linux a client that has connected comes when it has sent something, or after
// a second (TCP_DEFER_ACCEPT of tcp(7); nginx's name is deferred), so that one wake is enough for both.
func NewAcceptor(listener net.Listener) *Acceptor {
	a := &Acceptor{Listener: listener}
	switch listener := listener.(type) {
	case *net.TCPListener:
		if at, ok := listener.Addr().(*net.TCPAddr); !ok || !at.IP.IsUnspecified() {
			a.local = listener.Addr()
		}
		if a.take(listener, "tcp") {
			_ = listener.Close()
		}
	case *net.UnixListener:
		a.local = listener.Addr()
		if a.take(listener, "unix") {
			a.file = listener.Addr().String()
			listener.SetUnlinkOnClose(false)
			_ = listener.Close()
		}
	}
	return a
}

// take takes the listening socket over, and says whether that worked. Go's poller must not have it any longer: each client that
// comes would wake one of Go's threads for nothing.
func (a *Acceptor) take(listener syscall.Conn, network string) bool {
	l := anyLoop()
	if l == nil {
		return false
	}
	raw, err := listener.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(number uintptr) { // what fails here is the listener's own Accept to say
		fd, err := unix.FcntlInt(number, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		if network == "tcp" {
			inherit(fd)
		}
		d, err := newDescriptor(fd, l, network)
		if err != nil {
			return
		}
		if d.attend(); d.checkWait(&d.in) != nil {
			_ = d.Close()
			return
		}
		deferFor(fd, 1)
		a.d = d
	})
	return a.d != nil
}

// inherit sets what accepted sockets are to have. A setting that fails costs time or a descriptor, and no request.
func inherit(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	for _, k := range keepalive {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, k.option, k.value)
	}
}

// deferFor has clients come when they have sent something, or after so many seconds. A setting that fails costs a wake.
func deferFor(fd, seconds int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
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
		if a.d.in.take() {
			a.came = a.backlog()
		}
		if a.came > 0 {
			fd, err := a.accept()
			switch {
			case err == nil:
				a.came--
				return a.adopt(fd)
			case !errors.Is(err, unix.EAGAIN):
				return nil, err
			}
			a.came = 0
		}
		if err := a.d.check(&a.d.in); err != nil {
			return nil, err
		}
		a.d.await(&a.d.in, a.d.task, awaited) // whatever ends it, somebody may have come
	}
}

// adopt makes a descriptor of who has come last. Until it is bound, it is with the task that has accepted it; see look.
func (a *Acceptor) adopt(fd int) (*descriptor, error) {
	d, err := newDescriptor(fd, anyLoop(), a.d.network)
	if err == nil {
		d.local, d.remote, d.task = a.local, addr(&a.from), a.d.task
	}
	return d, err
}

// backlog returns how many have come, or more, if the system does not say: accept4(2) takes seven times as long to find that nobody has.
func (a *Acceptor) backlog() int {
	if !a.d.hold() {
		return 1
	}
	defer a.d.release()
	info := unix.TCPInfo{}
	length := uint32(unsafe.Offsetof(info.Sacked))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(a.d.fd), unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&length)), 0)
	a.counts = errno == 0 && (a.counts || info.Unacked > 0) // which is the number for a listening socket
	if !a.counts {
		return math.MaxInt
	}
	return int(info.Unacked)
}

// accept accepts once, without waiting: RawSyscall as in calls.go, and so for all that a connection that comes and goes takes.
// BenchmarkListener_Fresh of package downstream.
func (a *Acceptor) accept() (fd int, err error) {
	if !a.d.hold() {
		return 0, net.ErrClosed
	}
	defer a.d.release()
	for {
		a.from = syscall.RawSockaddrAny{}
		length := uint32(unix.SizeofSockaddrAny)
		n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(a.d.fd), uintptr(unsafe.Pointer(&a.from)),
			uintptr(unsafe.Pointer(&length)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR, unix.ECONNABORTED: // the latter has left again
		case unix.EAGAIN:
			return 0, unix.EAGAIN // as it is: each wait begins with it
		default:
			return 0, os.NewSyscallError("accept4", errno)
		}
	}
}

// SetDeadline sets when Accept ends at the latest, and has clients come from now on as soon as they have connected; false: the listener
// knows no deadlines, or is closed.
func (a *Acceptor) SetDeadline(t time.Time) bool {
	if a.d != nil {
		_ = a.d.control("setsockopt", func(fd int) error {
			deferFor(fd, 0)
			return nil
		})
		return a.d.SetReadDeadline(t) == nil
	}
	return setDeadline(a.Listener, t)
}

// SyscallConn gives access to the listening socket; an error without one.
func (a *Acceptor) SyscallConn() (syscall.RawConn, error) {
	if a.d != nil {
		return a.d.SyscallConn()
	}
	return rawConn(a.Listener)
}

// Close closes the listening socket.
func (a *Acceptor) Close() error {
	switch {
	case a.d == nil:
		return a.Listener.Close()
	case a.closed.Swap(true):
		return net.ErrClosed
	case a.file != "":
		_ = os.Remove(a.file) // before: afterwards it may be that of another one
	}
	return a.d.Close()
}
