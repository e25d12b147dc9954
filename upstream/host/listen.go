package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrFree says that nobody listens on a port.
var ErrFree = errors.New("nobody listens")

// Socket is one TCP socket that listens.
type Socket struct {
	Address netip.AddrPort // the address may be unspecified: all interfaces
	PID     int            // 0 when it is not known: the socket is another user's, or the system is Wine
}

// Sockets returns all TCP sockets of the machine that listen, in the order of their ports.
func Sockets() ([]Socket, error) {
	sockets, err := allSockets()
	if err != nil {
		return nil, fmt.Errorf("list listening sockets: %w", err)
	}
	slices.SortFunc(sockets, func(a, b Socket) int {
		if d := int(a.Address.Port()) - int(b.Address.Port()); d != 0 {
			return d
		}
		return a.Address.Compare(b.Address)
	})
	return sockets, nil
}

// Owner returns who listens where 127.0.0.1:port leads: on that address, on 0.0.0.0 or on [::]. Nobody is ErrFree. A process
// that may not be seen has PID 0. On Windows ports of http.sys (IIS and others) belong to process 4, System.
func Owner(port int) (Process, error) {
	sockets, err := Sockets()
	if err != nil {
		return Process{}, err
	}
	s, ok := owning(sockets, port)
	if !ok {
		return Process{}, ErrFree
	}
	return process(s.PID), nil
}

// owning returns the socket that takes a connection to 127.0.0.1:port, the nearest first.
func owning(sockets []Socket, port int) (Socket, bool) {
	for _, ip := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		for _, s := range sockets {
			if int(s.Address.Port()) == port && s.Address.Addr().Unmap() == ip {
				return s, true
			}
		}
	}
	return Socket{}, false
}

// process returns what is known about pid.
func process(pid int) Process {
	if pid == 0 {
		return Process{}
	}
	all, err := allProcesses()
	if err == nil {
		for _, p := range all {
			if p.PID == pid {
				return p
			}
		}
	}
	return Process{PID: pid}
}

// ErrOwnersUnknown says that the system does not tell of any socket whose it is: Wine.
var ErrOwnersUnknown = errors.New("the system does not tell who listens")

// Listeners returns the ports on which these processes listen, on whatever address: ascending, each once.
func Listeners(pids ...int) ([]int, error) {
	sockets, err := Sockets()
	if err != nil {
		return nil, err
	}
	if len(sockets) > 0 && !slices.ContainsFunc(sockets, func(s Socket) bool { return s.PID != 0 }) {
		return nil, ErrOwnersUnknown
	}
	var ports []int
	for _, s := range sockets {
		if s.PID != 0 && slices.Contains(pids, s.PID) {
			ports = append(ports, int(s.Address.Port()))
		}
	}
	return slices.Compact(ports), nil
}
