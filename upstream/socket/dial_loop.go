//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dial connects to an address of the network tcp or unix until the deadline. A task that has to wait for it waits in its loop.
// What is not an address but a name is looked up by a task that has left.
func Dial(t *Task, network, address string, deadline time.Time) (net.Conn, error) {
	l := loopOf(t)
	to := destinationOf(network, address)
	if to == nil || l == nil {
		t.Leave()
		return dial(network, address, deadline)
	}
	d, arrived, err := connect(l, to, network)
	if err == nil {
		d.task, d.remote = t, to.addr
		if !arrived {
			err = d.arrive(deadline)
		}
		if err == nil && d.meetsItself() {
			err = os.NewSyscallError("connect", unix.ECONNREFUSED)
		}
		if err != nil {
			_ = d.Close()
		}
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: to.addr, Err: err}
	}
	return d, nil
}

// loopOf returns the task's loop, or else the next one.
func loopOf(t *Task) *loop {
	if t != nil {
		return t.loop
	}
	return anyLoop()
}

// connect returns a socket that has arrived, that is, is connected, or is about to. The loop attends to it only then: it takes one that is
// neither for hung up. None of these calls waits, so that they are made as in calls.go.
func connect(l *loop, to *destination, network string) (d *descriptor, arrived bool, err error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, uintptr(to.raw.Addr.Family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return nil, false, os.NewSyscallError("socket", errno)
	}
	fd := int(n)
	if to.raw.Addr.Family != unix.AF_UNIX {
		one := int32(1) // it only costs time if that fails
		_, _, _ = syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, n, unix.IPPROTO_TCP, unix.TCP_NODELAY, uintptr(unsafe.Pointer(&one)),
			unsafe.Sizeof(one), 0)
	}
	_, _, errno = syscall.RawSyscall(syscall.SYS_CONNECT, n, uintptr(unsafe.Pointer(&to.raw)), to.length)
	arrived = errno == 0 || isConnected(fd) // a peer on this machine mostly has answered already
	if !arrived && errno != unix.EINPROGRESS && errno != unix.EINTR {
		_ = unix.Close(fd)
		return nil, false, os.NewSyscallError("connect", errno)
	}
	d, err = newDescriptor(fd, l, network)
	return d, arrived, err
}

func isConnected(fd int) bool {
	return nameOf(syscall.SYS_GETPEERNAME, fd, &syscall.RawSockaddrAny{}) == 0
}

// nameOf asks for an address of a socket, by getsockname(2) or getpeername(2).
func nameOf(call uintptr, fd int, name *syscall.RawSockaddrAny) syscall.Errno {
	length := uint32(unix.SizeofSockaddrAny)
	_, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&length)))
	return errno
}

// arrive waits until the socket is connected.
func (d *descriptor) arrive(deadline time.Time) error {
	if err := d.SetWriteDeadline(deadline); err != nil {
		return err
	}
	for {
		if err := d.wait(&d.out, d.task); err != nil {
			return err
		}
		failed, err := unix.GetsockoptInt(d.fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && failed != 0 {
			err = unix.Errno(failed)
		}
		if err != nil {
			return os.NewSyscallError("connect", err)
		}
		if isConnected(d.fd) { // else it was woken too early
			return d.SetWriteDeadline(time.Time{})
		}
	}
}

// meetsItself says whether the connection has this end at both ends: TCP does that when nobody listens at a port of those that
// the system gives to connecting sockets, and this one got it.
func (d *descriptor) meetsItself() bool {
	to, ok := d.remote.(*net.TCPAddr)
	if !ok || to.Port < firstEphemeral {
		return false
	}
	from, ok := d.LocalAddr().(*net.TCPAddr)
	return ok && from.Port == to.Port && from.IP.Equal(to.IP)
}

// firstEphemeral is the lowest port that is given to a connecting socket, in IANA's list as in Linux. A machine where the
// administrator has made it lower is in no danger as long as somebody listens.
const firstEphemeral = 32768

// destination is an address as the system wants it.
type destination struct {
	raw    syscall.RawSockaddrAny
	length uintptr
	addr   net.Addr
}

// destinationOf returns nil if the address is none but a name, or none that the system takes.
func destinationOf(network, address string) *destination {
	d := &destination{}
	if network == "unix" {
		d.addr = &net.UnixAddr{Name: address, Net: network}
		return d.unix(address)
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().Zone() != "" {
		return nil
	}
	d.addr = net.TCPAddrFromAddrPort(at)
	if ip := at.Addr().Unmap(); ip.Is4() {
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&d.raw))
		in.Family, in.Addr, d.length = unix.AF_INET, ip.As4(), unix.SizeofSockaddrInet4
		in.Port = swapped(at.Port())
	} else {
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(&d.raw))
		in.Family, in.Addr, d.length = unix.AF_INET6, ip.As16(), unix.SizeofSockaddrInet6
		in.Port = swapped(at.Port())
	}
	return d
}

// unix makes it the address of a path, or of a name if that begins with @.
func (d *destination) unix(path string) *destination {
	to := (*syscall.RawSockaddrUnix)(unsafe.Pointer(&d.raw))
	if path == "" || len(path) >= len(to.Path) {
		return nil
	}
	to.Family = unix.AF_UNIX
	for i := range len(path) {
		to.Path[i] = int8(path[i])
	}
	d.length = unsafe.Offsetof(to.Path) + uintptr(len(path))
	if path[0] == '@' {
		to.Path[0] = 0
	} else {
		d.length++ // the zero at the end
	}
	return d
}

// swapped is a port in the order of the network, or back: amd64 and arm64 have the other one.
func swapped(port uint16) uint16 { return bits.ReverseBytes16(port) }

// addr is an address of the system as package net has it; nil if that knows none such.
func addr(sa *syscall.RawSockaddrAny) net.Addr {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*syscall.RawSockaddrInet4)(unsafe.Pointer(sa))
		return tcpAddr(in.Addr[:], in.Port)
	case unix.AF_INET6:
		in := (*syscall.RawSockaddrInet6)(unsafe.Pointer(sa))
		tcp := tcpAddr(in.Addr[:], in.Port)
		if in.Scope_id != 0 {
			tcp.Zone = strconv.Itoa(int(in.Scope_id))
			if i, err := net.InterfaceByIndex(int(in.Scope_id)); err == nil {
				tcp.Zone = i.Name
			}
		}
		return tcp
	case unix.AF_UNIX:
		in := (*syscall.RawSockaddrUnix)(unsafe.Pointer(sa))
		path := unsafe.Slice((*byte)(unsafe.Pointer(&in.Path)), len(in.Path))
		if path[0] == 0 {
			path[0] = '@' // it has none, or an abstract one
		}
		name, _, _ := bytes.Cut(path, []byte{0})
		return &net.UnixAddr{Name: string(name), Net: "unix"}
	}
	return nil
}

// tcpAddr makes an address, in one piece of memory, of what the system has in the order of the network.
func tcpAddr(ip []byte, port uint16) *net.TCPAddr {
	a := &struct {
		net.TCPAddr

		ip [net.IPv6len]byte
	}{}
	a.IP = a.ip[:copy(a.ip[:], ip)]
	a.Port = int(swapped(port))
	return &a.TCPAddr
}
