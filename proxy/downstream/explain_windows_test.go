package downstream

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

func TestExplain(t *testing.T) {
	f := func(err syscall.Errno, at spot, want ...string) {
		t.Helper()
		got := explain(&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}, at)
		for _, part := range want {
			if !errors.Is(got, err) || !strings.Contains(got.Error(), part) {
				t.Errorf("%v at %+v: got %q, want %q", err, at, got, part)
			}
		}
	}
	f(windows.WSAEACCES, spot{port: 80}, "another program", "excludedportrange", "servicestate")
	f(windows.WSAEACCES, spot{port: 80, asked: true}, "no program", "excludedportrange", "servicestate")
	f(windows.WSAEACCES, spot{port: 80, asked: true, owner: "System (pid 4)"}, "System (pid 4)", "servicestate")
	f(windows.WSAEADDRINUSE, spot{port: 80}, "netstat -ano")
	f(windows.WSAEADDRINUSE, spot{port: 80, asked: true, owner: "nginx.exe (pid 7)"}, "nginx.exe (pid 7) listens")
	f(windows.WSAEADDRNOTAVAIL, spot{port: 80}, "does not have the address")
}
