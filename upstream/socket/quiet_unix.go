//go:build unix

package socket

import "golang.org/x/sys/unix"

// look is the argument of poll(2). A read that peeks would do, but takes a reset off the socket, so that the Read that follows
// finds the end of the stream.
type look [1]unix.PollFd

func (l *look) nothing(fd uintptr) bool {
	for {
		l[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(l[:], 0)
		if err != unix.EINTR {
			return err == nil && n == 0
		}
	}
}
