package downstream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// newcomers is a program of the classic Berkeley packet filter that drops the first packet of each connection (TCP's SYN
// without ACK): that client tries again in a second, and finds whoever listens then, or nobody. The handshakes that have begun
// go on. The filter sees the packet from its TCP header on; the flags are byte 13.
var newcomers = [...]unix.SockFilter{ // constant
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: tcpSYN | tcpACK},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: tcpSYN, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff}, // all of the packet
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},          // nothing of it
}

const (
	tcpSYN = 0x02
	tcpACK = 0x10
)

// admitNobody keeps new clients from connecting, and says whether it does. Those who have connected and were not accepted would
// be reset by the close of the socket; so there are none when it is closed. Where the system does not take the filter, a few
// may be: newer kernels (6.18 was seen to) ask for CAP_NET_ADMIN.
func admitNobody(ln listening) bool {
	if _, ok := ln.Addr().(*net.TCPAddr); !ok {
		return false
	}
	raw, err := ln.SyscallConn()
	if err != nil {
		return false
	}
	program, refused := newcomers, error(nil)
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptSockFprog(int(fd), syscall.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	return err == nil && refused == nil
}
