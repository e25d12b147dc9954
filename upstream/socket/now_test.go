package socket_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"spillway/upstream/socket"
)

// TestSocket_WritesNowWhatItTakes: what it says was taken is taken, in order, and it does not wait, also when it takes nothing.
func TestSocket_WritesNowWhatItTakes(t *testing.T) { each(t, checkWritesNowWhatItTakes) }

func checkWritesNowWhatItTakes(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	if err := s.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	head, body := bytes.Repeat([]byte("head"), 100), bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // more than the buffers take
	pieces := net.Buffers{head, nil, body}
	taken := int64(0)
	for {
		n := s.WriteNow(&pieces)
		if taken += n; n == 0 {
			break
		}
	}
	if left := lengthOf(pieces); taken+left != int64(len(head)+len(body)) || left == 0 {
		t.Fatalf("got %d bytes taken and %d left of %d", taken, left, len(head)+len(body))
	}
	wrote := make(chan error)
	go func() { // ends when all was read, or with the deadline
		_, err := s.WriteBuffers(&pieces)
		wrote <- err
	}()
	got := make([]byte, len(head)+len(body))
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, append(head, body...)) {
		t.Error("got other bytes than were written")
	}
}

// TestSocket_WritesNowAndWithWaitingInTurns: whatever the socket takes, and however often it was full, nothing is lost or out of order.
func TestSocket_WritesNowAndWithWaitingInTurns(t *testing.T) {
	each(t, checkWritesNowAndWithWaitingInTurns)
}

func checkWritesNowAndWithWaitingInTurns(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	if err := s.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	const head, large = 200, 1 << 20
	content := make([]byte, 32<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content)
	got, sent, read := make([]byte, len(content)), 0, 0
	take := func(size int) net.Buffers {
		p := content[sent:min(sent+size, len(content))]
		sent += len(p)
		at := min(head, len(p))
		return net.Buffers{p[:at], p[at:]}
	}
	for sent < len(content) {
		var left net.Buffers
		for sent < len(content) && len(left) == 0 { // until the socket is full
			left = take(32 << 10)
			s.WriteNow(&left)
		}
		left = append(left, take(large)...)
		wrote := make(chan error)
		go func() { // ends when all was read, or with the deadline
			_, err := s.WriteBuffers(&left)
			wrote <- err
		}()
		if _, err := io.ReadFull(far, got[read:sent]); err != nil {
			t.Fatal(err)
		}
		read = sent
		if err := <-wrote; err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, content) {
		t.Error("got other bytes than were written")
	}
}

// TestSocket_WaitsAsEverAfterWriteNow: it does not change how the socket is used otherwise.
func TestSocket_WaitsAsEverAfterWriteNow(t *testing.T) {
	each(t, func(t *testing.T, s *socket.Socket, far net.Conn) {
		t.Helper()
		s.WriteNow(&net.Buffers{[]byte("text")})
		checkKeepsDeadlines(t, s, far)
		if err := s.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		checkCloseEndsAWaitingRead(t, s, far)
	})
}

// TestSocket_LeavesNothingOfWhatWasTaken: no empty piece either.
func TestSocket_LeavesNothingOfWhatWasTaken(t *testing.T) { each(t, checkLeavesNothingOfWhatWasTaken) }

func checkLeavesNothingOfWhatWasTaken(t *testing.T, s *socket.Socket, _ net.Conn) {
	t.Helper()
	pieces := net.Buffers{[]byte("text"), nil}
	if n := s.WriteNow(&pieces); n == 4 && len(pieces) > 0 || n == 0 && len(pieces) != 2 {
		t.Errorf("got %d bytes taken, %d pieces left", n, len(pieces))
	}
	text, memory := []byte("text"), [1][]byte{}
	if got := testing.AllocsPerRun(100, func() {
		memory[0] = text
		pieces = memory[:]
		s.WriteNow(&pieces)
	}); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

func TestSocket_TakesNothingNowWhereItCannotTell(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	closed, _ := pair(t, kinds[1].dial)
	closed.Close()
	for _, s := range []*socket.Socket{socket.New(near), closed} {
		pieces := net.Buffers{[]byte("text")}
		if n := s.WriteNow(&pieces); n != 0 || lengthOf(pieces) != 4 {
			t.Errorf("got %d bytes taken, %d left, want none and all", n, lengthOf(pieces))
		}
	}
}

func lengthOf(pieces net.Buffers) int64 {
	n := int64(0)
	for _, p := range pieces {
		n += int64(len(p))
	}
	return n
}

func TestSocket_SendsNoFileWhereItCannot(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	if n, err := socket.New(near).SendFile(os.Stdin, 0, 1); n != 0 || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %d, %v, want %v", n, err, errors.ErrUnsupported)
	}
}
