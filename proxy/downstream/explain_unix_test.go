//go:build unix

package downstream

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	f := func(err syscall.Errno, at spot, want string) {
		t.Helper()
		got := explain(&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}, at)
		if !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v at %+v: got %q, want %q", err, at, got, want)
		}
	}
	f(syscall.EACCES, spot{port: 80}, "setcap")
	f(syscall.EACCES, spot{}, "folder")
	f(syscall.EADDRINUSE, spot{}, "another path")
	f(syscall.EADDRINUSE, spot{port: 80, asked: true}, "another program")
	f(syscall.EADDRINUSE, spot{port: 80, asked: true, owner: "nginx (pid 7)"}, "nginx (pid 7) listens there already")
	f(syscall.ENOBUFS, spot{port: 80}, "no buffer space")
}
