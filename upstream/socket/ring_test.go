//go:build linux && (amd64 || arm64)

package socket

import (
	"bytes"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// socketpair returns two connected sockets, of which no loop knows.
func socketpair(t *testing.T) (near, far *descriptor) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	return &descriptor{fd: pair[0]}, &descriptor{fd: pair[1]}
}

// TestRing_DoesWhatCallsDo, more often than it has room.
func TestRing_DoesWhatCallsDo(t *testing.T) {
	r := newRing()
	if r == nil {
		t.Skip("no rings here")
	}
	defer unix.Close(int(r.fd))
	near, far := socketpair(t)
	halfClosed, other := socketpair(t)
	_ = unix.Shutdown(halfClosed.fd, unix.SHUT_WR)
	for round := range 3 * ringSize {
		text := bytes.Repeat([]byte{byte(round)}, 1+round)
		room := func() []byte { return make([]byte, 1000) }
		row := []transfer{
			{d: far, p: room()},
			{d: near, p: text, sends: true},
			{d: far, p: room()},
			{d: far, p: room()},
			{d: halfClosed, p: text, sends: true},
			{d: other, p: room()},
			{d: &descriptor{fd: -1}, p: room()},
		}
		want := []struct {
			n     int
			errno syscall.Errno
		}{{0, unix.EAGAIN}, {len(text), 0}, {len(text), 0}, {0, unix.EAGAIN}, {0, unix.EPIPE}, {0, 0}, {0, unix.EBADF}}
		if made := r.run(row, true); made != len(row) {
			t.Fatalf("round %d: made %d transfers of %d", round, made, len(row))
		}
		for i, want := range want {
			if got := row[i]; got.n != want.n || got.errno != want.errno {
				t.Fatalf("round %d, transfer %d: got %d, %v, want %d, %v", round, i, got.n, got.errno, want.n, want.errno)
			}
		}
		if got := row[2].p[:row[2].n]; !bytes.Equal(got, text) {
			t.Fatalf("round %d: got %x, want %x", round, got, text)
		}
	}
}

func TestRing_MakesAsManyAsFit(t *testing.T) {
	r := newRing()
	if r == nil {
		t.Skip("no rings here")
	}
	defer unix.Close(int(r.fd))
	near, far := socketpair(t)
	for range 5 {
		row := make([]transfer, ringSize)
		for i := range row {
			row[i] = transfer{d: near, p: []byte{byte(i)}, sends: true}
		}
		if made := r.run(row, true); made != ringSize {
			t.Errorf("made %d of %d", made, ringSize)
		}
		got := make([]byte, 2*ringSize)
		n, err := unix.Read(far.fd, got)
		if err != nil || n != ringSize {
			t.Fatal(n, err)
		}
		for i, b := range got[:n] {
			if int(b) != i {
				t.Errorf("got %d at %d: another order", b, i)
			}
		}
	}
}
