package upstream

import (
	"errors"
	"net"
	"os"
	"testing"
)

// TestConnectError_OursIsNotThePeers: without a descriptor of ours no peer is to blame, so it stays in use.
func TestConnectError_OursIsNotThePeers(t *testing.T) {
	for _, ours := range exhausted() {
		dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", ours)}
		got := connectError(dial)
		if got.Kind != Canceled || got.Phase != Connecting || got.Status != 503 || !errors.Is(got, ours) {
			t.Errorf("%v: got %+v, want a canceled attempt that is answered with 503", ours, got)
		}
	}
}

// TestConn_TellsWhatWasPostedFromWhatIsRead: a message that was posted fails by the Read that follows.
func TestConn_TellsWhatWasPostedFromWhatIsRead(t *testing.T) {
	c := &Conn{Phase: ReadingHead}
	for op, want := range map[string]Phase{"write": Sending, "read": ReadingHead} {
		got := (*Error)(nil)
		if err := c.fail("recv", &net.OpError{Op: op, Err: os.ErrInvalid}); !errors.As(err, &got) || got.Phase != want || got.Kind != Failed {
			t.Errorf("%s: got %v in %v, want a failure in %v", op, err, got.Phase, want)
		}
	}
}
