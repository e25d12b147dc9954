package downstream

import (
	"io"
	"os"
	"time"
)

// beginBody is called with a whole head and n bytes in p. It returns how many of them are the reader's: the head and as
// much of the body as has come.
func (c *conn) beginBody(p []byte, n int) int {
	head := c.head.length
	rest := p[head:n]
	c.served++
	c.l.requests.Add(1)
	c.bodyWait, c.bodyRead, c.failed = 0, 0, nil
	kept, used := 0, 0
	switch {
	case c.head.chunked:
		c.at = atChunks
		c.chunks.reset()
		kept, used, c.failed = c.chunks.filter(rest)
		if c.chunks.done() {
			c.at = atHead
		}
	case c.head.contentLength > 0:
		c.at = atBody
		kept = int(min(int64(len(rest)), c.head.contentLength))
		used = kept
		c.left = c.head.contentLength - int64(kept)
		if c.left == 0 {
			c.at = atHead
		}
	}
	c.bodyRead = int64(kept)
	if c.failed == nil {
		c.keep(rest[used:])
	}
	c.silent.Store(c.at == atHead && len(c.ahead) == 0)
	c.enter(serving)
	return head + kept
}

// readBody reads a part of the body. It fails when the client sends too slowly, with io.EOF when the client has closed its
// side, and when the framing is broken.
func (c *conn) readBody(p []byte) (int, error) {
	if c.failed != nil {
		return 0, c.failed
	}
	for {
		if c.at == atBody {
			p = p[:min(int64(len(p)), c.left)]
		} else {
			p = p[:min(len(p), maxHead)] // what is beyond the body must fit a head's buffer
		}
		n, err := c.takeBody(p)
		if err != nil {
			return 0, err
		}
		kept := n
		if c.at == atBody {
			c.left -= int64(n)
		} else {
			var used int
			kept, used, c.failed = c.chunks.filter(p[:n])
			if c.failed == nil {
				c.giveBack(p[used:n])
			}
		}
		if c.at == atBody && c.left == 0 || c.at == atChunks && c.chunks.done() {
			c.at = atHead
			c.silent.Store(len(c.ahead) == 0)
		}
		if kept > 0 || c.failed != nil {
			return kept, c.failed
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

// body is the body of a request for the handler: it counts, and says in our words why it ended early.
type body struct {
	c      *conn
	stream io.Reader // fasthttp's, on top of conn.Read
	read   int64
}

// Read reads from the client.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.stream.Read(p)
	b.read += int64(n)
	if err != nil && err != io.EOF && b.c.failed == nil {
		b.c.failed = bodyError(err)
	}
	if err != nil && b.c.failed != nil {
		return n, b.c.failed
	}
	return n, err
}
