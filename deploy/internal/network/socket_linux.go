package network

import "syscall"

// slowWindow is how much a slow client's system takes that the client has not read: little, as with a thin line.
const slowWindow = 32 << 10

// segment is what a packet of an Ethernet carries. Loopback's are 64 KiB, and for ten of those on their way Linux makes the
// proxy's send buffer so large that it holds a third of a response.
const segment = 1448

// likeNetwork makes a client's socket, not connected yet, like one behind a network.
func likeNetwork(fd uintptr, slow bool) error {
	if slow {
		if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowWindow); err != nil {
			return err
		}
	}
	return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment)
}
