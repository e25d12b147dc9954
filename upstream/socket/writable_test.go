package socket_test

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"spillway/upstream/socket"
)

func TestSocket_IsWritableWhileTheOtherSideReads(t *testing.T) {
	each(t, checkIsWritableWhileTheOtherSideReads)
}

func checkIsWritableWhileTheOtherSideReads(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	if err := s.SetDeadline(deadline); err != nil {
		t.Fatal(err)
	}
	if !s.Writable() {
		t.Fatal("got a new connection that takes nothing")
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // more than the buffers of both sides
	wrote := make(chan error)
	go func() { // ends when all was read, or with the deadline
		_, err := s.Write(content)
		wrote <- err
	}()
	for s.Writable() {
		if time.Now().After(deadline) {
			t.Fatal("got a connection that nobody reads and that takes ever more")
		}
		runtime.Gosched()
	}
	if _, err := io.CopyN(io.Discard, far, int64(len(content))); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	for !s.Writable() { // all was read, but the system may not have noticed
		if time.Now().After(deadline) {
			t.Fatal("got a connection that takes nothing although all was read")
		}
		runtime.Gosched()
	}
	if got := testing.AllocsPerRun(100, func() { s.Writable() }); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func TestSocket_IsNotWritableWhenItCannotBeAsked(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if socket.New(near).Writable() {
		t.Error("got a pipe that says that it takes more")
	}
	each(t, func(t *testing.T, s *socket.Socket, _ net.Conn) {
		t.Helper()
		s.Close()
		if s.Writable() {
			t.Error("got a closed socket that says that it takes more")
		}
	})
}
