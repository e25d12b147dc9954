package upstream

import (
	"errors"
	"io"
	"net"
)

// An idle connection is fit for the next request when the peer has neither closed it nor sent anything on it: bytes that
// nobody asked for would be taken for the answer to the next request. quiet is that check, one per platform; it costs
// one system call and waits for nothing.

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func asNetError(err error, target *net.Error) bool { return errors.As(err, target) }
