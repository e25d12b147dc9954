package downstream

import (
	"errors"
	"io"
	"os"
	"time"
)

// beginBody is called with what has come behind a whole head.
func (c *conn) beginBody(rest []byte) {
	c.served++
	c.l.requests.Add(1)
	c.bodyWait, c.bodyRead, c.failed = 0, 0, nil
	switch {
	case c.head.chunked:
		c.at = atChunks
		c.chunks.reset()
	case c.head.contentLength > 0:
		c.at, c.left = atBody, c.head.contentLength
		c.bodyRead = min(int64(len(rest)), c.left)
	}
	c.keep(rest)
	c.noteSilence()
	c.enter(serving)
}

// noteSilence notes whether nothing is to be expected from the client until it has the response.
func (c *conn) noteSilence() { c.silent.Store(c.at == atHead && len(c.ahead) == 0) }

// readBody reads a part of the body, and io.EOF at its end. It fails when the client sends too slowly, has closed its side, or when
// the framing is broken.
func (c *conn) readBody(p []byte) (int, error) {
	for c.failed == nil && c.at != atHead && len(p) > 0 {
		kept, err := c.readPiece(p)
		if err != nil {
			c.failed = bodyError(err)
		} else if c.at == atHead {
			c.noteSilence()
		}
		if kept > 0 {
			return kept, nil
		}
	}
	if c.failed == nil && c.at == atHead {
		return 0, io.EOF
	}
	return 0, c.failed
}

// readPiece reads once, and leaves of it what is the body's.
func (c *conn) readPiece(p []byte) (int, error) {
	if c.at == atBody {
		n, err := c.takeBody(p[:min(int64(len(p)), c.left)])
		if c.left -= int64(n); c.left == 0 {
			c.at = atHead
		}
		return n, err
	}
	p = p[:min(len(p), maxHead)] // what is beyond the body must fit a head's buffer
	n, err := c.takeBody(p)
	if err != nil {
		return 0, err
	}
	kept, used, err := c.chunks.filter(p[:n])
	if err == nil {
		c.giveBack(p[used:n])
	}
	if c.chunks.done() {
		c.at = atHead
	}
	return kept, err
}

// drop reads the rest of a body that nobody wants, so that the connection can go on. It says whether it can.
func (c *conn) drop() bool {
	if c.at == atHead {
		return true
	}
	sink := c.l.takeBuffer()
	defer c.l.giveBuffer(sink)
	for {
		if _, err := c.readBody((*sink)[:bufferSize]); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// giveBack undoes the end of a take: the bytes are those before what is ahead, or nothing is.
func (c *conn) giveBack(rest []byte) {
	if len(rest) == 0 {
		return
	}
	if len(c.ahead) == 0 {
		c.keep(rest)
		return
	}
	c.ahead = c.spare[len(c.spare)-len(c.ahead)-len(rest):]
}

// takeBody takes bytes of the body and sees to it that they come fast enough: after the first ten seconds of waiting,
// minRate on average. Only time that was spent waiting for the client counts.
func (c *conn) takeBody(p []byte) (int, error) {
	if len(c.ahead) > 0 {
		return c.take(p, 0)
	}
	start := c.l.clock.Load()
	n, err := c.wait(p, start+int64(c.l.limits.Load().BodyTimeout))
	if err != nil {
		return 0, err
	}
	c.bodyRead += int64(n)
	c.bodyWait += time.Duration(c.l.clock.Load() - start)
	if late := c.bodyWait - rateGrace; late > 0 && c.bodyRead < int64(late.Seconds()*minRate) {
		return 0, os.ErrDeadlineExceeded
	}
	return n, nil
}

// rateGrace is how long a body may be slower than minRate.
const rateGrace = 10 * time.Second

// body is the body of a request for the handler.
type body struct {
	c    *conn
	read int64
}

// Read reads from the client.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.c.readBody(p)
	b.read += int64(n)
	return n, err
}
