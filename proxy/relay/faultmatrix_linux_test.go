package relay_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// resetWords are those of a connection that was reset.
const resetWords = "recv() failed (104: Connection reset by peer)"

// openDescriptors counts those of this process.
func openDescriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// unreachable returns an address at which connections are neither taken nor refused: the queue of its listener is full, so the
// kernel drops whoever asks.
func unreachable(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	err = errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	ipv4, _ := bound.(*syscall.SockaddrInet4)
	addr := net.TCPAddr{IP: ipv4.Addr[:], Port: ipv4.Port}
	for range 16 { // one is let in, or two
		conn, err := net.DialTimeout("tcp", addr.String(), 300*time.Millisecond)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return addr.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue of a listener does not get full")
	return ""
}
