//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// descriptor is a connected socket of the system that a loop waits for. It is a net.Conn which Go's own poller does not know.
type descriptor struct {
	fd         int
	serial     int32 // tells it from others that had the number, in the loop's events
	loop       *loop
	attended   atomic.Bool   // the loop is to be told what happens to it
	unattended atomic.Uint32 // the number of the error, if the system would not do that
	task       *Task         // who uses it, if it is one that waits in a loop

	in, out side
	hungUp  atomic.Bool // nothing more comes than is there, if anything
	users   atomic.Int64
	ahead   *received // what was received for the next Read
	posted

	local, remote net.Addr
	network       string
}

// closed is the bit of users that says so; below it is the number of calls that are using the descriptor's number.
const closed = 1 << 32

var serials atomic.Int32

// happenings are what a loop is told of.
const happenings = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | epollET

// newDescriptor is one for the socket fd, which is not to block; l is to wait for it. It closes fd if that cannot be.
func newDescriptor(fd int, l *loop, network string) (*descriptor, error) {
	if fd >= maxDescriptors {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", unix.EMFILE), unix.Close(fd))
	}
	return &descriptor{fd: fd, loop: l, serial: serials.Add(1), network: network}, nil
}

// attend has the loop told of what happens to the socket, and of what has happened already. That is for who is about to wait: a client that
// has asked when it is accepted, and is answered without a wait for it, does without.
func (d *descriptor) attend() {
	if d.attended.Load() || !d.hold() {
		return
	}
	defer d.release()
	if d.attended.Swap(true) {
		return
	}
	register(d)
	event := unix.EpollEvent{Events: happenings, Fd: int32(d.fd), Pad: d.serial}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(d.loop.epoll), unix.EPOLL_CTL_ADD, uintptr(d.fd),
		uintptr(unsafe.Pointer(&event)), 0, 0); errno != 0 {
		d.unattended.Store(uint32(errno))
		d.in.notify(nil)
		d.out.notify(nil)
	}
}

// happened notes what the loop l was told.
func (d *descriptor) happened(l *loop, events uint32) {
	const gone = unix.EPOLLHUP | unix.EPOLLERR
	if events&(gone|unix.EPOLLRDHUP) != 0 {
		d.hungUp.Store(true)
	}
	if events&(gone|unix.EPOLLRDHUP|unix.EPOLLIN) != 0 {
		d.arrived(l)
	}
	if events&(gone|unix.EPOLLOUT) != 0 {
		d.deliverMore()
		d.out.notify(l)
	}
}

// hold says whether fd can be used; whoever holds it has to release it.
func (d *descriptor) hold() bool {
	for {
		users := d.users.Load()
		if users&closed != 0 {
			return false
		}
		if d.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (d *descriptor) release() {
	if d.users.Add(-1) == closed {
		_ = d.end()
	}
}

// end closes fd, which nobody uses any more. That does not wait, since nobody lingers but for 0 seconds.
func (d *descriptor) end() error {
	if d.attended.Load() {
		unregister(d)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(d.fd), 0, 0); errno != 0 {
		return os.NewSyscallError("close", errno)
	}
	return nil
}

// Close closes the socket as soon as nobody is using it; those who wait are woken.
func (d *descriptor) Close() error {
	for {
		users := d.users.Load()
		if users&closed != 0 {
			return net.ErrClosed
		}
		if !d.users.CompareAndSwap(users, users|closed) {
			continue
		}
		d.in.forget()
		d.out.forget()
		d.in.notify(nil)
		d.out.notify(nil)
		if users == 0 {
			return d.end()
		}
		return nil
	}
}

// check says whether there is a reason not to go on.
func (d *descriptor) check(s *side) error {
	if d.users.Load()&closed != 0 {
		return net.ErrClosed
	}
	if s.expired.Load() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// checkWait says whether there is a reason not to wait.
func (d *descriptor) checkWait(s *side) error {
	if errno := d.unattended.Load(); errno != 0 {
		return os.NewSyscallError("epoll_ctl", syscall.Errno(errno))
	}
	return d.check(s)
}

// wait returns when something has happened at the side, or the deadline has passed, or the descriptor was closed. It is t that
// waits, if that is inside of its loop, or else the goroutine.
func (d *descriptor) wait(s *side, t *Task) error {
	d.await(s, t, awaited)
	if err := d.checkWait(s); err != nil {
		return err
	}
	s.take()
	return nil
}

// await is wait for whoever looks for himself what has happened; as is the state until then, one of those that are waits.
func (d *descriptor) await(s *side, t *Task, as uint32) {
	if s.outside = t != nil && !t.place.CompareAndSwap(inside, paused); s.outside {
		t = nil
	}
	if t == nil && s.wake == nil {
		s.wake = make(chan struct{}, 1)
	}
	s.task = t
	switch {
	case !d.waits(s, as):
		if t != nil {
			t.place.Store(inside)
		}
	case t != nil:
		t.notePause()
		t.yield(waits)
	default:
		if s.outside {
			busy.Add(-1) // until it is woken
		}
		<-s.wake
	}
}

// waits says whether who is noted at the side is going to be woken; see await.
func (d *descriptor) waits(s *side, as uint32) bool {
	if !s.state.CompareAndSwap(unchanged, as) {
		return false
	}
	d.attend()
	// Whoever ends the waiting sets what checkWait sees, then looks for who waits.
	return d.checkWait(s) == nil || !s.state.CompareAndSwap(as, unchanged)
}

// fail is err as the operations of package net give it.
func (d *descriptor) fail(op string, err error) error {
	return &net.OpError{Op: op, Net: d.network, Source: d.LocalAddr(), Addr: d.remote, Err: err}
}

// Bind has the task use the socket from now on: its Reads and Writes wait in its loop, unless it has left that. A socket of another loop
// moves to that one: each message would have one loop wake the other. Nobody else waits for it meanwhile.
func (d *descriptor) Bind(t *Task) {
	d.task = t
	Uses(t, d)
	if !d.Near(t) {
		d.move(t.loop)
	}
}

// Near says whether the socket need not move to be used by t.
func (d *descriptor) Near(t *Task) bool { return t == nil || t.loop == d.loop }

// move has another loop told of what happens. What the present one has been told already, it may still say.
func (d *descriptor) move(to *loop) {
	if !d.hold() {
		return
	}
	defer d.release()
	d.mu.Lock() // the present loop may be sending a letter, and attend
	defer d.mu.Unlock()
	if d.attended.Swap(false) {
		_, _, _ = syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(d.loop.epoll), unix.EPOLL_CTL_DEL, uintptr(d.fd), 0, 0, 0)
		unregister(d)
	}
	d.loop = to
	d.attend()
}

// Untouched says that nothing has come since the last Read, as far as the loop knows; only a task of it is told.
func (d *descriptor) Untouched() bool {
	if d.ahead != nil {
		return false
	}
	if !d.attended.Load() {
		d.attend() // for who asks next
		return false
	}
	return d.task != nil && d.task.loop == d.loop && !d.task.isOutside() &&
		d.in.state.Load() != changed && !d.hungUp.Load() && d.checkWait(&d.in) == nil
}

// MayHaveEnded says whether the loop was told that nothing more comes.
func (d *descriptor) MayHaveEnded() bool {
	d.attend()
	return d.hungUp.Load()
}

// AwaitRead waits until a Read need not, see Socket.AwaitRead.
func (d *descriptor) AwaitRead() {
	if !d.hold() {
		return
	}
	defer d.release()
	if d.check(&d.in) == nil && d.in.state.Load() != changed && !d.hungUp.Load() && d.ahead == nil {
		d.await(&d.in, d.task, awaitedBare)
	}
}

// Await has a task do the job when there is something to read, or the deadline has passed, or the socket was closed. Until then
// nobody may read.
func (d *descriptor) Await(job func(*Task)) {
	d.in.task, d.in.job, d.in.of = nil, job, d.loop
	if !d.look() {
		d.awaitJob()
	}
}

// awaitJob is Await for the job that is noted.
func (d *descriptor) awaitJob() {
	if d.ahead != nil || !d.waits(&d.in, awaitedBare) {
		d.in.wakeUp(nil)
	}
}

// look has the loop look for what a client has sent that has just been accepted, since most have asked by then. False: it is not such a
// client, or another loop's than that of who has accepted it.
func (d *descriptor) look() bool {
	t := d.task
	if d.attended.Load() || t == nil || t.loop != d.loop || !t.place.CompareAndSwap(inside, paused) { // as if paused: nobody expels it
		return false
	}
	d.in.mark() // as receiveAll has it: nobody else claims the side
	d.loop.incoming = append(d.loop.incoming, d)
	t.place.Store(inside)
	return true
}

// Quiet says whether nothing is to be read at the moment, see Socket.Quiet. A read that peeks would do, but takes a reset off
// the socket, so that the Read that follows finds the end of the stream.
func (d *descriptor) Quiet() bool { return d.ahead == nil && !d.ready(unix.POLLIN) }

// Writable says whether the socket takes more, see Socket.Writable.
func (d *descriptor) Writable() bool { return d.ready(unix.POLLOUT) }

// ready says whether the socket is closed, broken or ready for what is asked.
func (d *descriptor) ready(events int16) bool {
	if !d.hold() {
		return events == unix.POLLIN
	}
	defer d.release()
	for {
		asked := unix.PollFd{Fd: int32(d.fd), Events: events}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&asked)), 1,
			uintptr(unsafe.Pointer(&unix.Timespec{})), 0, 0, 0)
		if errno != unix.EINTR {
			return errno != 0 && events == unix.POLLIN || n == 1 && (events == unix.POLLIN || asked.Revents&events != 0)
		}
	}
}

// LocalAddr returns this end's address.
func (d *descriptor) LocalAddr() net.Addr {
	if d.local == nil && d.hold() {
		defer d.release()
		from := syscall.RawSockaddrAny{}
		if nameOf(syscall.SYS_GETSOCKNAME, d.fd, &from) == 0 {
			return addr(&from)
		}
	}
	return d.local
}

// RemoteAddr returns the other end's address.
func (d *descriptor) RemoteAddr() net.Addr { return d.remote }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (d *descriptor) SetDeadline(t time.Time) error {
	return errors.Join(d.SetReadDeadline(t), d.SetWriteDeadline(t))
}

// SetReadDeadline sets when a Read ends at the latest; the zero time is no limit.
func (d *descriptor) SetReadDeadline(t time.Time) error { return d.setDeadline(&d.in, t) }

// SetWriteDeadline sets when a Write ends at the latest.
func (d *descriptor) SetWriteDeadline(t time.Time) error { return d.setDeadline(&d.out, t) }

func (d *descriptor) setDeadline(s *side, t time.Time) error {
	if !d.hold() {
		return net.ErrClosed
	}
	defer d.release()
	s.setDeadline(t)
	return nil
}

// CloseWrite ends the sending side.
func (d *descriptor) CloseWrite() error {
	if _, err := d.settle(false); err != nil {
		return err
	}
	return d.control("shutdown", func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
}

// SetLinger is net.TCPConn's.
func (d *descriptor) SetLinger(seconds int) error {
	linger := unix.Linger{Onoff: 1, Linger: int32(seconds)}
	if seconds < 0 {
		linger = unix.Linger{}
	}
	return d.control("setsockopt", func(fd int) error {
		return unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger)
	})
}

func (d *descriptor) control(call string, f func(fd int) error) error {
	if !d.hold() {
		return net.ErrClosed
	}
	defer d.release()
	return os.NewSyscallError(call, f(d.fd))
}

// SyscallConn gives access to the number.
func (d *descriptor) SyscallConn() (syscall.RawConn, error) { return raw{d}, nil }

// raw is a descriptor as syscall.RawConn.
type raw struct{ d *descriptor }

// Control calls f with the number.
func (r raw) Control(f func(fd uintptr)) error {
	return r.d.control("", func(fd int) error {
		f(uintptr(fd))
		return nil
	})
}

// Read calls f until it says that it has read; it waits in between.
func (r raw) Read(f func(fd uintptr) (done bool)) error { return r.try(&r.d.in, f) }

// Write calls f until it says that it has written.
func (r raw) Write(f func(fd uintptr) (done bool)) error { return r.try(&r.d.out, f) }

func (r raw) try(s *side, f func(fd uintptr) (done bool)) error {
	if !r.d.hold() {
		return net.ErrClosed
	}
	defer r.d.release()
	err := r.d.check(s)
	for err == nil {
		s.take()
		if f(uintptr(r.d.fd)) {
			s.mark() // f may have left something
			return nil
		}
		err = r.d.wait(s, r.d.task)
	}
	return err
}
