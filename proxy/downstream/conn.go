package downstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"spillway/proxy"
	"spillway/upstream/socket"
)

// conn is the connection of a client. See turn.go for who serves it.
type conn struct {
	socket.Socket

	l         *Listener
	layer     *secured     // nil: the client speaks plain HTTP
	plain     bool         // although it was to speak TLS
	id        uint64       // nginx's *N
	addresses              // set when it was accepted, read only
	beside    neighbours   // in Listener.conns
	*h1                    // the exchange and the memory that it uses; nil between two turns
	task      *socket.Task // of the present turn; nil: it is a goroutine
	next      func(*socket.Task)
	resting   bool // the turn ends, and not the connection

	// The reading side: who reads the head, then whoever reads the body.
	at       place
	due      int64 // when a head has to have begun; 0: the wait has not
	head     head
	left     int64 // of a body with Content-Length
	chunks   chunks
	failed   error         // why the body cannot be read
	ahead    []byte        // what was read beyond the end of the message, a part of h1.spare
	served   int           // requests
	bodyWait time.Duration // spent waiting for the body
	bodyRead int64

	// The writing side: who serves the connection.
	sent    int64 // bytes of the response
	cut     bool  // the response was cut, and only a reset tells the client
	unclean bool  // the client may be sending what nobody reads: close with care
	idle    bool  // the client was silent for too long: a request may be on its way

	// What the sweeper reads. Times are those of Listener.now; a due time of 0 is no deadline.
	phase    atomic.Uint32 // a phase
	since    atomic.Int64  // when the phase began
	readDue  atomic.Int64
	writeDue atomic.Int64
	silent   atomic.Bool // all that the client may send before the response has been read
	shed     atomic.Bool // its descriptor is needed: it ends with the wait for a request, or with the next response

	mu          sync.Mutex // guards stopping and interrupted
	stopping    bool       // the watch is to end
	interrupted bool       // the tunnel's reading is to end
}

// place says what the next byte from the client belongs to.
type place uint8

const (
	atHead place = iota
	atBody
	atChunks
	atEnd // no more
)

// phase is what a connection is doing, for the sweeper and the counters.
type phase uint32

const (
	waiting  phase = iota // for a request
	reading               // a head
	serving               // a request, which includes its body and the response
	watching              // serving, and the client is being watched, see watch.go
	upgraded              // the connection belongs to another protocol, see tunnel.go
	closing
)

func (c *conn) enter(p phase) phase {
	c.since.Store(c.l.clock.Load())
	return phase(c.phase.Swap(uint32(p)))
}

// headReader is the connection as the parser of heads sees it.
type headReader conn

// Read reads one whole head that the guard has found good. When there is none, the error is io.EOF: everything else has been said
// to the client and in the log.
func (r *headReader) Read(p []byte) (int, error) {
	if r.parsing {
		return 0, io.ErrUnexpectedEOF // the parser wants more than the guard has found: what follows is another message
	}
	n, err := (*conn)(r).readHead(p)
	r.parsing = err == nil
	return n, err
}

// readHead waits for a request and reads its head into p, which is large enough. What has come behind it is kept. The deadline of
// the head is one for all of it, from its first byte.
func (c *conn) readHead(p []byte) (int, error) {
	if c.due == 0 {
		c.awaitHead()
	}
	due, n, blank := c.due, 0, 0
	c.head.reset()
	for c.head.length == 0 {
		if n == 0 && blank == 0 && c.rests() {
			return 0, io.EOF
		}
		m, err := c.take(p[n:], due)
		if err != nil {
			return 0, c.noHead(p[:n], err)
		}
		if n == 0 && blank == 0 {
			c.enter(reading)
			due = c.l.clock.Load() + int64(c.l.limits.Load().HeaderTimeout)
		}
		n += m
		for n >= 2 && c.head.next == 0 && p[0] == '\r' && p[1] == '\n' && blank < maxBlankLines {
			n, blank = copy(p, p[2:n]), blank+1
		}
		if n == 0 || n == 1 && p[0] == '\r' {
			continue
		}
		if err := c.head.scan(p[:n]); err != nil {
			c.refuse(p[:n], err)
			return 0, io.EOF
		}
	}
	c.due = 0
	c.beginBody(p[c.head.length:n])
	return c.head.length, nil
}

// awaitHead begins the wait for a request.
func (c *conn) awaitHead() {
	limits := c.l.limits.Load()
	c.unclean = false
	c.enter(waiting)
	c.due = c.l.clock.Load() + int64(limits.KeepaliveTimeout)
	if c.served == 0 {
		c.due = c.l.clock.Load() + int64(limits.HeaderTimeout)
	}
}

// noHead ends a connection on which no whole head came. A client that has begun one and is too slow is told.
func (c *conn) noHead(begun []byte, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && len(begun) > 0 {
		c.refuse(begun, errHeadTimeout)
		c.unclean = false // it has had its time
	}
	c.idle = errors.Is(err, os.ErrDeadlineExceeded) && len(begun) == 0
	c.at = atEnd
	return io.EOF
}

// take returns what was read ahead, or else reads; see wait for due.
func (c *conn) take(p []byte, due int64) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(p, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	return c.wait(p, due)
}

// keep puts bytes that belong to the next message before what is read next.
func (c *conn) keep(rest []byte) {
	if len(rest) > 0 { // then nothing else is ahead: take prefers it, and p is never smaller than it
		c.spare = append(c.spare[:0], rest...)
		c.ahead = c.spare
	}
}

// wait reads, until due at the latest. It is the sweeper that ends a wait, by a read deadline in the past; it may come
// late, when the wait that it means is over, so that the deadline counts only if it has been reached.
func (c *conn) wait(p []byte, due int64) (int, error) {
	c.readDue.Store(due)
	defer c.readDue.Store(0)
	for looked := false; ; {
		n, err := c.read(p)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, err
		}
		_ = c.SetReadDeadline(time.Time{})
		if now := c.l.now(); now < due && !c.isQuiet(now) {
			continue
		}
		if looked || c.Quiet() {
			return 0, err
		}
		looked = true // there is something, or the socket cannot be asked
	}
}

// minRate is the number of bytes per second below which a client is taken for an attacker. Mobile clients with bad
// reception are an order of magnitude faster.
const minRate = 256

// write sends all of p. A wait of the send timeout is the end if the client has not taken even minRate in it.
func (c *conn) write(p []byte) (int, error) {
	if c.layer != nil {
		n, err := c.layer.tls.Write(p)
		c.sent += int64(n)
		return n, err
	}
	written := 0
	for {
		due := c.beginWrite()
		n, err := c.Write(p[written:])
		written += n
		if !c.goesOn(err, int64(n), due) {
			return written, err
		}
	}
}

// writeAll sends all pieces, in one system call if the platform can. It uses the slice up.
func (c *conn) writeAll(pieces *net.Buffers) (int64, error) {
	written := int64(0)
	for {
		due := c.beginWrite()
		n, err := c.WriteBuffers(pieces)
		written += n
		if !c.goesOn(err, n, due) {
			return written, err
		}
	}
}

// sendFile sends n bytes of a file, see Socket.SendFile.
func (c *conn) sendFile(file *os.File, offset, n int64) (int64, error) {
	written := int64(0)
	for {
		due := c.beginWrite()
		m, err := c.SendFile(file, offset+written, n-written)
		written += m
		if !c.goesOn(err, m, due) {
			return written, err
		}
	}
}

// beginWrite returns when the sweeper ends the write that follows.
func (c *conn) beginWrite() int64 {
	timeout := c.l.limits.Load().SendTimeout
	if c.layer != nil && c.layer.leaving {
		timeout = lingerTimeout
	}
	due := c.l.clock.Load() + int64(timeout)
	c.writeDue.Store(due)
	return due
}

// goesOn counts what a write has sent, and says whether the rest is to be tried.
func (c *conn) goesOn(err error, n, due int64) bool {
	c.writeDue.Store(0)
	c.sent += n
	return err != nil && c.mayGoOn(err, n, due)
}

// mayGoOn says whether a write that ended early may go on: the deadline was for an earlier one, or n is enough for the
// time.
func (c *conn) mayGoOn(err error, n, due int64) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	_ = c.SetWriteDeadline(time.Time{})
	return c.l.now() < due || n >= int64(c.l.limits.Load().SendTimeout.Seconds()*minRate)+1
}

// bodyError is the error of a request body that cannot be read to its end.
func bodyError(err error) error {
	refused := &proxy.StatusError{}
	switch {
	case errors.As(err, &refused):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &proxy.StatusError{Code: 408, Cause: proxy.CauseRequestBody, Err: err}
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &proxy.StatusError{Code: 400, Cause: proxy.CauseClientGone, Err: err}
}
