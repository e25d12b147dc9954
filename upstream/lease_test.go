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
