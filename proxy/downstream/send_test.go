package downstream_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"spillway/proxy"
)

// asking is a content that asks its writer until it is closed whether the client takes more, as a pipe's fill side does.
type asking struct {
	content

	stop   chan struct{}
	taken  chan bool // the answer before the first byte
	closed chan bool // gets it at Close
}

func (c *asking) WriteTo(w io.Writer) (int64, error) {
	client, ok := w.(interface{ Writable() bool })
	if !ok {
		return 0, errors.New("a writer that cannot be asked")
	}
	taken := client.Writable() // nothing is on its way yet
	go func() {                // ends with Close, which waits for it; its answers are the system's, but asking meets the writes
		for {
			client.Writable()
			select {
			case <-c.stop:
				c.taken <- taken
				return
			default:
			}
		}
	}()
	return c.content.WriteTo(w)
}

func (c *asking) Close(error) error {
	close(c.stop)
	c.closed <- <-c.taken
	return nil
}

func TestListener_ContentAsksWhetherTheClientTakesMore(t *testing.T) {
	f := func(c content, want int) {
		t.Helper()
		closed := make(chan bool, 1)
		s := start(t, func(ex *proxy.Exchange) error {
			ex.Response.SetStatusCode(200)
			ex.Content = &asking{content: c, stop: make(chan struct{}), taken: make(chan bool), closed: closed}
			ex.Length = -1
			return nil
		}, nil)
		client := s.connect().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if got, _, _ := client.response("GET"); got != want {
			t.Errorf("got status %d, want %d", got, want)
		}
		if !<-closed {
			t.Error("got a client that takes nothing, want one that does")
		}
	}
	f(content{pieces: []string{"hello"}}, 200)
	f(content{err: errors.New("nothing")}, 502) // an error page, for which the sender begins again
}

// waited is a content of some size that notes when its writer is made to wait: what was written before.
type waited struct {
	content

	size int
	at   chan int // gets -1 when it never is
}

func (c *waited) WriteTo(w io.Writer) (int64, error) {
	sent, waits := 0, 0
	w.(interface{ OnWait(f func()) }).OnWait(func() {
		waits++
		c.at <- sent
	})
	piece := bytes.Repeat([]byte("x"), 64<<10)
	for sent < c.size {
		n, err := w.Write(piece[:min(len(piece), c.size-sent)])
		if sent += n; err != nil {
			return int64(sent), err
		}
	}
	if waits == 0 {
		c.at <- -1
	} else if waits > 1 {
		return int64(sent), errors.New("told more than once")
	}
	return int64(sent), nil
}

// TestListener_TellsContentThatTheClientIsSlow: before the wait, not after it, and not if there is none.
func TestListener_TellsContentThatTheClientIsSlow(t *testing.T) {
	f := func(size int, length int64) int {
		t.Helper()
		at := make(chan int, 2)
		s := start(t, func(ex *proxy.Exchange) error {
			ex.Response.SetStatusCode(200)
			ex.Content, ex.Length = &waited{size: size, at: at}, length
			return nil
		}, nil)
		client := s.connect().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		before := <-at // the client has read nothing yet
		if got, body, _ := client.response("GET"); got != 200 || len(body) != size {
			t.Errorf("got status %d and %d bytes", got, len(body))
		}
		return before
	}
	const large, small = 24 << 20, 20000 // more than the sockets take, and less
	for _, length := range []int64{large, -1} {
		if got := f(large, length); got < 0 || got >= large {
			t.Errorf("got told after %d bytes, want within the body", got)
		}
	}
	if got := f(small, small); got != -1 && knowsWhenItWaits {
		t.Errorf("got told after %d bytes, want never", got)
	}
}
