//go:build unix

package socket

import "golang.org/x/sys/unix"

// poll is the argument of poll(2).
type poll [1]unix.PollFd

// room asks for POLLOUT: on Linux at least a third of the send buffer is free, which is also when a Write that waits goes on.
func (p *poll) room(fd uintptr) bool {
	p[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	n, err := unix.Poll(p[:], 0)
	return err == nil && n == 1 && p[0].Revents&unix.POLLOUT != 0
}
