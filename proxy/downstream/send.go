package downstream

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
)

// maxDrain is how much of a request body that nobody has read is read after the response to keep the connection. Above it the
// connection is closed; the response has to say so.
const maxDrain = 256 << 10

var (
	errLong  = errors.New("content longer than its length")
	errShort = errors.New("content shorter than its length")
)

// respond sends the response and finishes the exchange, whatever happens. It says whether the connection can go on.
func (c *conn) respond() bool {
	c.out.sent, c.out.close = 0, true
	c.out.err = c.ex.Protect("sending the response", c.send)
	c.endServing()
	if crash := c.ex.Protect("sending the response", c.finish); crash != nil || c.out.err != nil {
		c.out.close = true
	}
	c.cut = c.out.err != nil && c.out.undelimited()
	c.ex.Reset()
	c.body = body{}
	c.unclean = c.at != atHead && c.out.err == nil && !errors.Is(c.failed, os.ErrDeadlineExceeded)
	return !c.out.close
}

func (c *conn) finish() error {
	c.ex.BytesSent, c.ex.BodyBytesSent, c.ex.RequestBytes = c.sent, c.out.sent, c.body.read
	c.ex.Finish(c.out.err)
	return nil
}

// send writes the response of the exchange. A client that has gone gets nothing.
func (c *conn) send() error {
	ex := &c.ex
	if status := ex.Status(); status == proxy.StatusClientGone {
		return nil
	} else if !c.allows(status) {
		ex.SetError(fmt.Errorf("response with status %d", status))
	}
	s := &c.out
	s.begin()
	defer s.end()
	if ex.Content == nil || !s.hasBody {
		return s.whole(ex.Bytes)
	}
	_, err := ex.Content.WriteTo(s)
	switch {
	case err != nil && s.tried:
		return err
	case err != nil: // not even the head has left: an error page is better than an empty reply
		ex.SetError(&proxy.StatusError{Code: fasthttp.StatusBadGateway, Cause: proxy.CauseFailed, Err: err})
		s.end()
		s.begin()
		return s.whole(ex.Bytes)
	}
	return s.last()
}

// sendInterim is the Interim of exchanges. What is wrong with the connection, the response finds.
func (h *h1) sendInterim(head []byte) { _, _ = h.c.write(head) }

// allows says whether a response of this request may have the status.
func (c *conn) allows(status int) bool {
	if status == fasthttp.StatusSwitchingProtocols {
		return len(c.ex.Upgrade) > 0 && c.ex.Content != nil && c.at == atHead // all of the request is read
	}
	return status >= 200 && status <= 599
}

// sender writes one response; it is what Content.WriteTo writes to. The head leaves with the first bytes of the body.
type sender struct {
	c       *conn   // set when it was accepted, read only
	memory  *[]byte // of buf
	buf     []byte  // the head while it has not been sent
	hasBody bool
	chunked bool
	left    int64 // of the declared length; -1 without one
	tried   bool  // something was written, or should have been
	sent    int64 // bytes of the body
	close   bool  // the connection ends with this response
	ends    bool  // what is written next is the end of the body
	err     error
	pace    pace

	pieces [4][]byte
	vector net.Buffers

	onWait func() // see OnWait; nil: there is nobody to call
}

// OnWait makes f be called when the client does not take at once what is written, before the wait for it. It is called once at
// most, by the goroutine that writes.
func (s *sender) OnWait(f func()) { s.onWait = f }

func (s *sender) wait() {
	if f := s.onWait; f != nil {
		s.onWait = nil
		f()
	}
}

// begin decides how the body is framed and writes the head into the buffer.
func (s *sender) begin() {
	c := s.c
	h := c.ex.Response
	s.chunked, s.tried, s.ends, s.onWait = false, false, false, nil
	if c.ex.Status() == fasthttp.StatusSwitchingProtocols {
		s.hasBody, s.left, s.close = true, -1, true
		s.pace.reset(0, 0) // limit_rate is for responses
	} else {
		s.setFraming()
	}
	if len(h.Server()) == 0 {
		h.SetServer(serverName)
	}
	if id := c.ex.Told(); id != "" {
		h.Set(proxy.WhyField, id)
	}
	s.memory = c.l.takeBuffer()
	s.buf = h.AppendBytes((*s.memory)[:0])
}

// setFraming decides how the body is framed (RFC 9112 section 6), and whether the connection goes on.
func (s *sender) setFraming() {
	c := s.c
	ex, h := &c.ex, c.ex.Response
	s.left = int64(len(ex.Bytes))
	status := ex.Status()
	s.hasBody = !ex.Head() && status != fasthttp.StatusNoContent && status != fasthttp.StatusNotModified
	if ex.Content != nil || ex.Head() && len(ex.Bytes) == 0 {
		s.left = ex.Length
	}
	s.close = c.mustClose()
	s.pace.reset(ex.LimitRate, ex.LimitAfter)
	switch {
	case s.left >= 0:
		h.SetContentLength(int(s.left)) // not on 204 and 304
	case !s.hasBody:
	case c.head.proto == http11:
		s.chunked = true
		h.SetContentLength(-1)
	default:
		s.close = true // HTTP/1.0 knows no chunks: the body ends with the connection
	}
	if s.close {
		h.SetConnectionClose()
	} else if c.head.proto == http10 {
		h.Set(fasthttp.HeaderConnection, "keep-alive")
	}
}

// mustClose says whether the connection ends with this response.
func (c *conn) mustClose() bool {
	unread := c.at == atChunks || c.at == atBody && c.left > maxDrain
	return c.ex.CloseClient || !c.keepAlive || unread || c.served >= c.l.limits.Load().KeepaliveRequests || c.l.draining.Load() ||
		c.shed.Load()
}

// undelimited says whether nothing but the end of the connection ends the body.
func (s *sender) undelimited() bool { return s.tried && s.hasBody && !s.chunked && s.left < 0 }

func (s *sender) end() {
	if cap(s.buf) <= bufferSize {
		*s.memory = s.buf[:0]
	}
	s.c.l.giveBuffer(s.memory)
	s.memory, s.buf = nil, nil
}

// whole sends a response whose body is b.
func (s *sender) whole(b []byte) error {
	if !s.hasBody {
		b = nil
	}
	s.left, s.ends = -1, true
	return s.frame("", b, "")
}

// Write sends a piece of the body: at once, or as fast as the response's rate allows.
func (s *sender) Write(p []byte) (int, error) {
	if s.pace.rate > 0 {
		return s.writePaced(p)
	}
	return s.write(p)
}

func (s *sender) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.left >= 0 {
		if int64(len(p)) > s.left {
			return 0, errLong
		}
		s.left -= int64(len(p))
		s.ends = s.left == 0
	}
	before := s.sent
	var err error
	if s.chunked {
		var hex [18]byte
		err = s.chunk(append(strconv.AppendInt(hex[:0], int64(len(p)), 16), '\r', '\n'), p)
	} else {
		err = s.frame("", p, "")
	}
	return int(s.sent - before), err
}

// SendFile sends a piece of the body that is n bytes of a file, see Socket.SendFile: at once, and without framing.
func (s *sender) SendFile(file *os.File, offset, n int64) (int64, error) {
	if s.pace.rate > 0 || s.chunked || !s.tried || s.c.layer != nil {
		return 0, errors.ErrUnsupported
	}
	if s.left >= 0 && n > s.left {
		return 0, errLong
	}
	s.wait()
	n, err := s.c.sendFile(file, offset, n)
	s.sent += n
	if s.left >= 0 {
		s.left -= n
	}
	return n, err
}

// Flush sends the head if it has not left yet: a body that comes piece by piece may be a long time in coming.
func (s *sender) Flush() error {
	if s.tried {
		return nil
	}
	return s.frame("", nil, "")
}

// Writable says whether the client takes more at the moment. Another goroutine may ask, until the exchange is finished.
func (s *sender) Writable() bool { return !s.pace.paused.Load() && s.c.Writable() }

// last ends the body.
func (s *sender) last() error {
	switch {
	case s.left > 0:
		return errShort
	case s.chunked && s.c.ex.Trailers && len(s.c.ex.Trailer) > 0:
		s.buf = append(append(s.buf, "0\r\n"...), s.c.ex.Trailer...)
		return s.frame("\r\n", nil, "")
	case s.chunked:
		return s.frame("0\r\n\r\n", nil, "")
	case len(s.buf) > 0:
		return s.frame("", nil, "")
	}
	return nil
}

func (s *sender) chunk(size, p []byte) error {
	s.buf = append(s.buf, size...)
	return s.frame("", p, "\r\n")
}

// frame sends the head if it is still to be sent, then before, p and after. Small pieces are copied together.
func (s *sender) frame(before string, p []byte, after string) error {
	s.tried = true
	s.buf = append(s.buf, before...)
	lead := len(s.buf)
	if lead == 0 && len(after) == 0 {
		n, err := s.put(p)
		s.sent += n
		return err
	}
	if lead+len(p)+len(after) <= bufferSize {
		s.buf = append(append(s.buf, p...), after...)
		n, err := s.put(s.buf)
		s.count(n, lead, len(p))
		return err
	}
	n, err := s.put(s.buf, p, crlf[:len(after)])
	s.count(n, lead, len(p))
	return err
}

// put sends all of the pieces, 4 at most: at once as far as the client takes them, and after onWait what is left.
func (s *sender) put(pieces ...[]byte) (int64, error) {
	s.vector = s.pieces[:copy(s.pieces[:], pieces)]
	defer clear(s.pieces[:])
	if s.c.layer != nil {
		return s.putSecured(s.vector)
	}
	if s.ends && !s.close && s.c.settled() {
		if n := s.c.PostBuffers(&s.vector); n > 0 {
			s.c.sent += n
			return n, nil
		}
	}
	if s.onWait == nil && len(pieces) == 1 {
		n, err := s.c.write(pieces[0])
		return int64(n), err
	}
	sent := int64(0)
	if s.onWait != nil {
		sent = s.c.WriteNow(&s.vector)
		s.c.sent += sent
		if len(s.vector) == 0 {
			return sent, nil
		}
		s.wait()
	}
	n, err := s.c.writeAll(&s.vector)
	return sent + n, err
}

// settled says whether the client has taken what it was sent before and sends nothing at the moment, for all that is known: it takes
// a small response then. Nobody watches a client from which nothing has come, so that nobody else writes to ahead.
func (c *conn) settled() bool { return c.Untouched() && len(c.ahead) == 0 }

var crlf = []byte("\r\n")

// count notes that n bytes were sent of lead bytes that are not the body, size bytes that are, and what follows.
func (s *sender) count(n int64, lead, size int) {
	s.sent += min(max(0, n-int64(lead)), int64(size))
	s.buf = s.buf[:0]
}
