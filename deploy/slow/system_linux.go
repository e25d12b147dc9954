package main

import "syscall"

// slowWindow is how much a slow client's system takes that the client has not read: little, as with a thin line.
const slowWindow = 32 << 10

// segment is what a packet of an Ethernet carries. Loopback's are 64 KiB, and for ten of those on their way Linux makes the
// proxy's send buffer so large that it holds a third of a response.
const segment = 1448

// likeNetwork makes a client's socket, not connected yet, like one behind a network. The rate is 0 for a fast client.
func likeNetwork(fd uintptr, rate int) error {
	if rate > 0 {
		if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, slowWindow); err != nil {
			return err
		}
	}
	return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, segment)
}

// freeDisk returns the bytes that are left where a folder is.
func freeDisk(folder string) (int64, error) {
	var stat syscall.Statfs_t
	err := syscall.Statfs(folder, &stat)
	return int64(stat.Bavail) * stat.Bsize, err
}
