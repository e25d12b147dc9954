//go:build unix

package socket_test

import (
	"errors"
	"net"
	"runtime"
	"testing"

	"spillway/upstream/socket"
)

// Wine shows a reset as the end of the stream, so this is not tested there.
func TestSocket_ReportsAReset(t *testing.T) { each(t, checkReportsAReset) }

func checkReportsAReset(t *testing.T, s *socket.Socket, far net.Conn) {
	t.Helper()
	if err := far.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	far.Close()
	for s.Quiet() { // asking does not take the reset away
		runtime.Gosched()
	}
	_, err := s.Read(make([]byte, 1))
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("got %v, want a network error", err)
	}
}
