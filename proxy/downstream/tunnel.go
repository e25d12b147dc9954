package downstream

import (
	"bytes"
	"errors"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// A client may ask to go on in another protocol (RFC 9110, section 7.8):
//
//  1. noteUpgrade notes what it would switch to, before the fields of the connection are removed. Nothing of what follows is
//     another protocol yet: a request that comes before the answer waits to be parsed as any other.
//  2. A handler answers 101. The sender, which its content writes to, can now read the client, too: Switch sends the head and
//     ends the watch, Read gives what has come since the request.
//  3. The connection ends with the tunnel, that is, when WriteTo returns.

// noteUpgrade fills the Upgrade of the exchange. An Upgrade counts only where Connection names it, and not in HTTP/1.0.
func (c *conn) noteUpgrade(h *fasthttp.RequestHeader) {
	asked := false
	for _, value := range h.PeekAll(fasthttp.HeaderConnection) {
		asked = asked || httpfield.Named(value, []byte("upgrade"))
	}
	if !asked || c.head.proto == http10 || c.ex.Head() {
		return
	}
	c.upgrade = c.upgrade[:0]
	for _, value := range h.PeekAll(fasthttp.HeaderUpgrade) {
		if len(c.upgrade) > 0 {
			c.upgrade = append(c.upgrade, ", "...)
		}
		c.upgrade = append(c.upgrade, value...)
	}
	if !isHTTP(c.upgrade) {
		c.ex.Upgrade = c.upgrade
	}
}

// isHTTP says whether one of the protocols carries HTTP again: h2c, HTTP/2.0, TLS/1.2. Whoever got that through would send the
// application requests which nobody here has seen.
func isHTTP(protocols []byte) bool {
	for name := range bytes.SplitSeq(protocols, []byte{','}) {
		name = trim(name)
		if httpfield.Is(name, "h2c") || httpfield.Is(name, "h2") || hasPrefixFold(name, "http/") || hasPrefixFold(name, "tls/") {
			return true
		}
	}
	return false
}

// Switch sends the head of a 101. From then on Read reads what the client sends, until the content returns from WriteTo.
func (s *sender) Switch() error {
	s.c.endWatch(upgraded)
	return s.Flush()
}

// Read reads what the client sends, and waits as long as it takes: the holder of the tunnel ends the wait by Interrupt. One
// goroutine may read while another writes.
func (s *sender) Read(p []byte) (int, error) {
	c := s.c
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	for {
		n, err := c.read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		case !c.resumeWatch():
			return 0, proxy.ErrGivenUp
		}
	}
}

// Interrupt ends Read, at once and for good, with proxy.ErrGivenUp. Any goroutine may call it during WriteTo.
func (s *sender) Interrupt() { s.c.interrupt() }

func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	_ = c.SetReadDeadline(past)
}

// CloseWrite tells the client that nothing more comes. What is wrong with a connection on which that fails, Read finds.
func (s *sender) CloseWrite() { _ = s.c.endSending() }

// cutTime is how long a tunnel has to end in order when its listener has no more patience.
const cutTime = time.Second
