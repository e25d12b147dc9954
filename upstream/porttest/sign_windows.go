package porttest

import (
	"io"
	"os"
	"sync"
)

// given are the addresses that tests of this process have.
var given sync.Map

// sign is that of the other platforms, but seen by this process alone: Wine has no UDP that Go can use.
func sign(addr string) (io.Closer, error) {
	if _, loaded := given.LoadOrStore(addr, true); loaded {
		return nil, os.ErrExist
	}
	return holder(addr), nil
}

// holder is who has the address.
type holder string

// Close gives it back.
func (h holder) Close() error {
	given.Delete(string(h))
	return nil
}
