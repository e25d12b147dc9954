//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
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
	sa, remote, domain := sockaddr(network, address)
	if sa == nil || l == nil {
		t.Leave()
		return dial(network, address, deadline)
	}
	d, arrived, err := connect(l, sa, domain, network)
	if err == nil {
		d.task, d.remote = t, remote
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
		return nil, &net.OpError{Op: "dial", Net: network, Addr: remote, Err: err}
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

// connect returns a socket that has arrived, that is, is connected, or is about to. The loop gets it only then: it takes one that is neither for hung up.
func connect(l *loop, sa unix.Sockaddr, domain int, network string) (d *descriptor, arrived bool, err error) {
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, false, os.NewSyscallError("socket", err)
	}
	if domain != unix.AF_UNIX {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // it only costs time if that fails
	}
	err = unix.Connect(fd, sa)
	arrived = err == nil || isConnected(fd) // a peer on this machine mostly has answered already
	if !arrived && !errors.Is(err, unix.EINPROGRESS) && !errors.Is(err, unix.EINTR) {
		_ = unix.Close(fd)
		return nil, false, os.NewSyscallError("connect", err)
	}
	d, err = attend(fd, l, network, connected)
	return d, arrived, err
}

func isConnected(fd int) bool {
	_, err := syscall.Getpeername(fd)
	return err == nil
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

// sockaddr is the address as the system wants it; nil if it is none but a name.
func sockaddr(network, address string) (unix.Sockaddr, net.Addr, int) {
	if network == "unix" {
		return &unix.SockaddrUnix{Name: address}, &net.UnixAddr{Name: address, Net: network}, unix.AF_UNIX
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().Zone() != "" {
		return nil, nil, 0
	}
	if ip := at.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}, net.TCPAddrFromAddrPort(at), unix.AF_INET
	}
	return &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}, net.TCPAddrFromAddrPort(at), unix.AF_INET6
}

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
	a.Port = int(binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:]))
	return &a.TCPAddr
}
