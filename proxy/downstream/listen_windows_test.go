package downstream_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"

	"spillway/proxy/downstream"
)

// Windows lets a program with SO_REUSEADDR, as nginx sets it, take over the port of another one. Wine does not, hence the
// look at the option.
func TestListen_NobodyTakesThePortOver(t *testing.T) {
	ln, err := downstream.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if !isExclusive(t, ln) {
		t.Error("the port is not exclusive")
	}
	thief, err := listenReusing(t, ln.Addr().String())
	if err == nil {
		thief.Close()
	}
	if !errors.Is(err, windows.WSAEACCES) && !errors.Is(err, windows.WSAEADDRINUSE) {
		t.Errorf("got %v, want a refusal", err)
	}
}

// The other way round, a port that another program shares is not ours.
func TestListen_TakesNoPortOver(t *testing.T) {
	nginx, err := listenReusing(t, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nginx.Close()
	ln, err := downstream.Listen(nginx.Addr().String())
	if err == nil {
		ln.Close()
		t.Fatal("got no error")
	}
	if !strings.Contains(err.Error(), "choose another port") {
		t.Errorf("got %q, want it to say what to do", err)
	}
}

func listenReusing(t *testing.T, address string) (net.Listener, error) {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_REUSEADDR, 1)
		})
		return errors.Join(err, failed)
	}}
	return config.Listen(context.Background(), "tcp4", address)
}

func isExclusive(t *testing.T, ln net.Listener) bool {
	t.Helper()
	raw, err := ln.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var failed error
	err = raw.Control(func(fd uintptr) {
		value, failed = windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, ^windows.SO_REUSEADDR)
	})
	if err = errors.Join(err, failed); err != nil {
		t.Fatal(err)
	}
	return value != 0
}
