package network

import (
	"io"
	"time"
)

// step is how often a slow client reads.
const step = 50 * time.Millisecond

// CopySlowly copies so many bytes per second until nothing is left, or until there is a hurry, which is when hurry is closed.
func CopySlowly(to io.Writer, from io.Reader, rate int, hurry <-chan struct{}) error {
	tick := time.NewTicker(step)
	defer tick.Stop()
	for {
		n, err := io.CopyN(to, from, int64(rate)*int64(step)/int64(time.Second))
		if err == io.EOF && n == 0 { //nolint:errorlint // as io.CopyN returns it
			return nil
		} else if err != nil && err != io.EOF { //nolint:errorlint // as io.CopyN returns it
			return err
		}
		select {
		case <-tick.C:
		case <-hurry:
			return nil
		}
	}
}
