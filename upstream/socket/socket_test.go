package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"spillway/upstream/socket"
)

// pair returns the two ends of a TCP connection over loopback; the first is a Socket, made as dial says.
func pair(tb testing.TB, dial func(address string) (net.Conn, error)) (*socket.Socket, net.Conn) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	near, err := dial(listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		near.Close()
		far.Close()
	})
	return socket.New(near), far
}

// kinds are the ways to make a Socket. Where there are no loops, both are one.
var kinds = []struct {
	name string
	dial func(address string) (net.Conn, error)
}{
	{"net.Conn", func(address string) (net.Conn, error) { return net.Dial("tcp", address) }},
	{"loop", func(address string) (net.Conn, error) { return socket.Dial(nil, "tcp", address, time.Time{}) }},
}

// each runs a test with every kind of Socket.
func each(t *testing.T, test func(t *testing.T, s *socket.Socket, far net.Conn)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			s, far := pair(t, kind.dial)
			test(t, s, far)
		})
	}
}

func TestSocket_WritesAllAlthoughTheOtherSideIsSlow(t *testing.T) {
	each(t, checkWritesAllAlthoughTheOtherSideIsSlow)
}

func checkWritesAllAlthoughTheOtherSideIsSlow(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	head := bytes.Repeat([]byte("head"), 1<<18)
	body := bytes.Repeat([]byte("body."), 1<<20)
	var many net.Buffers
	for i := range 100 {
		many = append(many, head[:1+i], body[:i])
	}
	for _, parts := range []net.Buffers{{head, body}, {head, nil}, {nil, body}, {head[:1], body}, many} {
		want := bytes.Join(parts, nil)
		got := make(chan []byte)
		go func() { // ends when all has come
			buf := make([]byte, len(want))
			_, _ = io.ReadFull(far, buf)
			got <- buf
		}()
		n, err := s.WriteBuffers(&parts)
		if n != int64(len(want)) || err != nil {
			t.Fatalf("got %d, %v, want %d bytes written", n, err, len(want))
		}
		if !bytes.Equal(<-got, want) {
			t.Fatal("the other side got other bytes")
		}
	}
}

func TestSocket_LeavesWhatWasNotWritten(t *testing.T) { each(t, checkLeavesWhatWasNotWritten) }

func checkLeavesWhatWasNotWritten(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	var pieces net.Buffers
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	for rest := want; len(rest) > 0; rest = rest[1<<20:] {
		pieces = append(pieces, rest[:1<<20])
	}
	n, ended := int64(0), make(chan error)
	go func() { // ends with the deadline
		var err error
		n, err = s.WriteBuffers(&pieces)
		ended <- err
	}()
	for s.Writable() { // until the socket is full
		runtime.Gosched()
	}
	if err := s.SetWriteDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == int64(len(want)) {
		t.Fatalf("got %d, %v, want a part and a deadline", n, err)
	}
	got := make(chan []byte)
	go func() { // ends with CloseWrite
		all, _ := io.ReadAll(far)
		got <- all
	}()
	if err := s.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	m, err := s.WriteBuffers(&pieces)
	if err != nil || n+m != int64(len(want)) {
		t.Fatalf("got %d and %d, %v, want %d in all", n, m, err, len(want))
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-got, want) {
		t.Error("the other side got other bytes")
	}
}

func TestSocket_ReadsToTheEnd(t *testing.T) { each(t, checkReadsToTheEnd) }

func checkReadsToTheEnd(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	sent := bytes.Repeat([]byte("0123456789"), 1<<17)
	go func() { // ends when all was sent
		_, _ = far.Write(sent)
		far.Close()
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, %v, want %d", len(got), err, len(sent))
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("empty read: got %d, %v", n, err)
	}
}

func TestSocket_KeepsDeadlines(t *testing.T) { each(t, checkKeepsDeadlines) }

func checkKeepsDeadlines(t *testing.T, s *socket.Socket, _ net.Conn) {
	t.Helper()
	if err := s.SetDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: got %v, want a deadline", err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: got %v, want a deadline", err)
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	blocked := make(chan error)
	go func() { // ends with the deadline
		_, err := s.Read(make([]byte, 1))
		blocked <- err
	}()
	if err := s.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-blocked; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("waiting read: got %v, want a deadline", err)
	}
}

func TestSocket_CloseEndsAWaitingRead(t *testing.T) { each(t, checkCloseEndsAWaitingRead) }

func checkCloseEndsAWaitingRead(t *testing.T, s *socket.Socket, _ net.Conn) {
	t.Helper()
	blocked := make(chan error)
	go func() { // ends with Close
		_, err := s.Read(make([]byte, 1))
		blocked <- err
	}()
	s.Close()
	if err := <-blocked; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}

func TestSocket_WorksOverAPipe(t *testing.T) {
	near, far := net.Pipe()
	s := socket.New(near)
	go func() { // ends when both pieces came
		buf := make([]byte, 4)
		_, _ = io.ReadFull(far, buf)
		_, _ = far.Write(buf)
	}()
	pieces := net.Buffers{[]byte("ab"), []byte("cd")}
	if n, err := s.WriteBuffers(&pieces); n != 4 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	got := make([]byte, 4)
	if _, err := io.ReadFull(s, got); err != nil || string(got) != "abcd" {
		t.Errorf("got %q, %v", got, err)
	}
}

// BenchmarkSocket sends a kilobyte there and back.
func BenchmarkSocket(b *testing.B) {
	run := func(b *testing.B, conn, far net.Conn) {
		b.Helper()
		go func() { // ends when the connection is closed
			buf := make([]byte, 1024)
			for {
				if _, err := io.ReadFull(far, buf); err != nil {
					return
				}
				if _, err := far.Write(buf); err != nil {
					return
				}
			}
		}()
		buf := make([]byte, 1024)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := conn.Write(buf); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(conn, buf); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, kind := range kinds {
		b.Run(kind.name, func(b *testing.B) {
			s, far := pair(b, kind.dial)
			run(b, s, far)
		})
	}
}
