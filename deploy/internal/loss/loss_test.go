package loss

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
)

func TestKindOf(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if got := KindOf(fmt.Errorf("read: %w", err)); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
	f(syscall.ECONNRESET, "connection reset")
	f(syscall.ECONNREFUSED, "connection refused")
	f(os.ErrDeadlineExceeded, "no answer in time")
	f(io.EOF, "connection closed early")
	f(StatusError(503), "read: status 503")
}
