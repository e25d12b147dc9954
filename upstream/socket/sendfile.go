//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"net"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// ofFile are the errors of sendfile(2) that are about the file or the call, and not the socket.
var ofFile = [...]error{unix.EBADF, unix.EINVAL, unix.EIO, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.ESPIPE} // constant

// SendFile writes n bytes of the file, see Socket.SendFile.
func (d *descriptor) SendFile(file *os.File, offset, n int64) (int64, error) {
	sent, err := d.sendFile(int(file.Fd()), offset, n)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		err = d.fail("write", err)
	}
	return sent, err
}

func (d *descriptor) sendFile(file int, offset, n int64) (sent int64, err error) {
	if !d.hold() {
		return 0, net.ErrClosed
	}
	defer d.release()
	if err := d.check(&d.out); err != nil {
		return 0, err
	}
	if _, err := d.settle(true); err != nil {
		return 0, err
	}
	for sent < n {
		wrote, err := unix.Sendfile(d.fd, file, &offset, int(n-sent)) // it may wait for the disk
		switch {
		case wrote > 0:
			sent += int64(wrote)
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := d.wait(&d.out, d.task); err != nil {
				return sent, err
			}
		case err != nil && !slices.Contains(ofFile[:], err):
			return sent, os.NewSyscallError("sendfile", err)
		case sent == 0:
			return 0, errors.ErrUnsupported
		default:
			return sent, nil
		}
	}
	return sent, nil
}
