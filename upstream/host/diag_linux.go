package host

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The kernel's answer to "which sockets listen", sock_diag(7). /proc/net/tcp holds every connection as well, also those in
// TIME_WAIT: after a minute of clients that connect anew for each request it has 60,000 lines, which take half a second.

const (
	diagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	tcpListening = 10 // TCP_LISTEN of the kernel
	requestSize  = 56 // inet_diag_req_v2
	answerSize   = 72 // inet_diag_msg
	diagTimeout  = 5  // seconds
)

// diagListening asks for the sockets of an address family that listen.
func diagListening(family byte) ([]listening, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written that could be lost
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagTimeout}); err != nil {
		return nil, err
	}
	if err := unix.Sendto(fd, diagRequest(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var found []listening
	buf := make([]byte, 32<<10) // what the kernel fills at most
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sockets, done, err := parseDiag(buf[:n])
		if found = append(found, sockets...); done || err != nil {
			return found, err
		}
	}
}

// diagRequest is a netlink header and an inet_diag_req_v2 that asks for all sockets that listen.
func diagRequest(family byte) []byte {
	request := make([]byte, unix.SizeofNlMsghdr+requestSize)
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], diagByFamily)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	order.PutUint32(body[4:], 1<<tcpListening)
	return request
}

// parseDiag reads one datagram of the answer; done says that it was the last.
func parseDiag(datagram []byte) (found []listening, done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(datagram)
	if err != nil {
		return nil, false, err
	}
	for _, m := range messages {
		switch {
		case m.Header.Type == unix.NLMSG_DONE:
			return found, true, nil
		case m.Header.Type == unix.NLMSG_ERROR:
			return nil, false, errUnknownForm
		case m.Header.Type == diagByFamily && len(m.Data) >= answerSize:
			found = append(found, parseDiagSocket(m.Data))
		}
	}
	return found, len(messages) == 0, nil
}

// parseDiagSocket reads an inet_diag_msg: the local port and address are in network order, the inode is the last field.
func parseDiagSocket(message []byte) listening {
	port := binary.BigEndian.Uint16(message[4:])
	ip := netip.AddrFrom4([4]byte(message[8:12]))
	if message[0] == unix.AF_INET6 {
		ip = netip.AddrFrom16([16]byte(message[8:24]))
	}
	inode := binary.NativeEndian.Uint32(message[answerSize-4:])
	return listening{netip.AddrPortFrom(ip, port), strconv.FormatUint(uint64(inode), 10)}
}
