package loss

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// StatusError is an answer that says no.
type StatusError int

// Error names the status.
func (e StatusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// KindOf names a failure.
func KindOf(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed early"
	default:
		return err.Error()
	}
}
