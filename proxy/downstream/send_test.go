package downstream_test

import (
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
