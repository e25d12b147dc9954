package socket_test

import (
	"io"
	"net"
	"testing"

	"spillway/upstream/socket"
)

// TestSocket_TakesNowWhatFits, although there are no loops; also what is more than one call sends, and has empty pieces in between.
func TestSocket_TakesNowWhatFits(t *testing.T) { each(t, checkTakesNowWhatFits) }

func checkTakesNowWhatFits(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	f := func(sizes ...int) {
		t.Helper()
		var pieces net.Buffers
		for _, size := range sizes {
			pieces = append(pieces, make([]byte, size))
		}
		want := lengthOf(pieces)
		if got := s.WriteNow(&pieces); got != want || len(pieces) != 0 {
			t.Fatalf("%v: got %d bytes taken, %d pieces left", sizes, got, len(pieces))
		}
		if _, err := io.CopyN(io.Discard, far, want); err != nil {
			t.Fatal(err)
		}
	}
	f(4)
	f(100, 32<<10)
	f(0, 100, 0, 0, 2)
	f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	f(0)
	f()
}
