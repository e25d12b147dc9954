package downstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
)

// The clients of a listener with TLS have a layer between the connection and its socket:
//
//  1. secure adds it. Until the client has sent something, and between two requests, it waits as any other.
//  2. The first turn begins with shakeHands, which is no work for a loop. It has the time that is left for the first head.
//  3. From then on read and write go through the layer, and the layer goes through wire to the socket, where deadlines count as
//     ever: the layer does not survive a write that was given up.
//  4. farewell says that nothing more comes (close_notify), unless the response was cut.
//
// The layer has locks, which are held while it waits for the socket. A task that waits in the loop is the only one that uses the
// layer, or it would wait for a lock there: a tunnel, whose client is read and written at once, has it leave (see Exchange.Task), and
// the watch reads the socket, not the layer.

// secured is the layer of a connection.
type secured struct {
	tls   *tls.Conn
	state *tls.ConnectionState // nil until hands are shaken

	// Of who reads.
	begun  bool    // something has come from the client
	early  []byte  // what the watch has read of the socket, for the layer
	empty  bool    // the layer has nothing more, for all that has come from the socket
	asking bool    // a read that would wait is to end instead
	peek   [1]byte // for that read

	// Of who sends a response, which is nobody in a tunnel.
	posts bool // the record that is written next may be posted
	waits bool // the sender is told before a record waits for the client

	// Of wire; the layer lets one goroutine at a time write.
	record  [1][]byte // that is tried at once
	vector  net.Buffers
	leaving bool // what is written is the farewell
	broken  bool // a write has failed
}

// secure puts the layer on a connection that was just accepted.
func (c *conn) secure(config *tls.Config) {
	c.layer = &secured{}
	c.layer.tls = tls.Server((*wire)(c), config)
}

// errPlain ends a handshake that the client has not begun.
var errPlain = errors.New("client speaks no TLS")

// shakeHands makes the layer ready. If the client speaks plain HTTP, it is taken away, see refusePlain. False: there will be no
// request.
func (c *conn) shakeHands() bool {
	c.task.Leave()
	err := c.layer.tls.HandshakeContext(context.Background()) // the deadline is wire's
	switch {
	case err == nil:
		state := c.layer.tls.ConnectionState()
		c.layer.state = &state
	case errors.Is(err, errPlain):
		c.layer, c.plain = nil, true
	default:
		c.logHandshake(err)
		return false
	}
	c.awaitHead()
	c.task.Return()
	return true
}

// logHandshake tells why there is no TLS, in nginx's words. A client that connects and says nothing is no news, and what it may have
// begun to say is not reset.
func (c *conn) logHandshake(err error) {
	switch {
	case !c.layer.begun:
		c.idle = errors.Is(err, os.ErrDeadlineExceeded)
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = errors.New("client timed out")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("peer closed connection in SSL handshake")
	default:
		err = fmt.Errorf("SSL_do_handshake() failed (%w)", err)
	}
	c.l.opts.Log.Info("handshake failed", "exchange", c, "err", err)
}

// LogValue is for what happens before there is an exchange. The server is the address then, as in nginx.
func (c *conn) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("conn", c.id), slog.String("client", c.remoteAddr), slog.String("server", c.l.name))
}

// refusePlain refuses a request that has come without TLS where it is spoken.
func (c *conn) refusePlain() {
	c.reject(&proxy.StatusError{
		Code: fasthttp.StatusBadRequest, Page: "The plain HTTP request was sent to HTTPS port",
		Err: errors.New("client sent plain HTTP request to HTTPS port"),
	})
}

// read reads what the client has sent.
func (c *conn) read(p []byte) (int, error) {
	if c.layer == nil || c.layer.state == nil {
		return c.Read(p)
	}
	return c.layer.tls.Read(p)
}

// drained says whether the layer has nothing to be read, given that the socket has not.
func (c *conn) drained() bool {
	s := c.layer
	if s == nil || s.empty && len(s.early) == 0 {
		return true
	}
	s.asking = true
	n, err := s.tls.Read(s.peek[:])
	s.asking = false
	c.keep(s.peek[:n])
	s.empty = n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
	return s.empty
}

// maxEarly is more than the record in which a client says farewell: when it leaves, the end comes behind that.
const maxEarly = 64

// hear is called with what the watch has read, and says whether it goes on.
func (c *conn) hear(p []byte) bool {
	s := c.layer
	if s == nil {
		c.keep(p)
		return false
	}
	s.early = append(s.early, p...)
	return len(s.early) < maxEarly
}

// endSending tells the client that nothing more comes.
func (c *conn) endSending() error {
	c.farewell()
	return c.CloseWrite()
}

// farewell sends close_notify, by which a client knows that the end of the connection is that of the response.
func (c *conn) farewell() {
	if c.layer != nil && c.layer.state != nil {
		_ = c.layer.tls.CloseWrite()
	}
}

// wire is the connection as its layer sees it.
type wire conn

// Read reads from the socket. A deadline is temporary for the layer, but in the handshake.
func (w *wire) Read(p []byte) (int, error) {
	c, s := (*conn)(w), w.layer
	switch {
	case len(s.early) > 0:
		n := copy(p, s.early)
		s.early, s.empty = s.early[n:], false
		return n, nil
	case s.asking:
		return 0, os.ErrDeadlineExceeded
	case s.state == nil:
		return c.readHandshake(p)
	}
	n, err := c.Read(p)
	s.empty = s.empty && n == 0
	return n, err
}

// readHandshake reads until the time for it is over.
func (c *conn) readHandshake(p []byte) (int, error) {
	n, err := c.wait(p, c.due)
	if n > 0 && !c.layer.begun {
		c.layer.begun = true
		c.enter(reading)
		if p[0] != recordHandshake && p[0] < sslv2 { // nginx looks at these, too
			c.keep(p[:n])
			return 0, errPlain
		}
	}
	return n, err
}

// The first byte of a handshake: the type of its record, or in a greeting of SSL 2.0 the highest bit of the length.
const (
	recordHandshake = 0x16
	sslv2           = 0x80
)

// Write writes a record: all of it, or there is no other.
func (w *wire) Write(p []byte) (written int, err error) {
	c, s := (*conn)(w), w.layer
	switch {
	case s.broken:
		return 0, net.ErrClosed
	case s.posts && c.Post(p):
		return len(p), nil
	case s.waits:
		s.record[0] = p
		s.vector = s.record[:]
		written = int(c.WriteNow(&s.vector))
		s.record[0] = nil
		if written == len(p) {
			return written, nil
		}
		s.waits = false
		c.out.wait()
	}
	for {
		due := c.beginWrite()
		n, err := c.Write(p[written:])
		c.writeDue.Store(0)
		if written += n; err == nil {
			return written, nil
		}
		if !c.mayGoOn(err, int64(n), due) {
			s.broken = true
			return written, err
		}
	}
}

// Close is not called: see conn.Close.
func (w *wire) Close() error { return nil }

// SetWriteDeadline is called by the layer only, before its farewell and after it.
func (w *wire) SetWriteDeadline(time.Time) error {
	w.layer.leaving = true
	return nil
}

// putSecured is put for a client with TLS. All that fits into a record is one.
func (s *sender) putSecured(pieces [][]byte) (sent int64, err error) {
	c, layer := s.c, s.c.layer
	if s.ends && !s.close && c.settled() {
		layer.posts = true
		defer func() { layer.posts = false }()
	}
	if s.onWait != nil {
		layer.waits = true
		defer func() { layer.waits = false }()
	}
	if len(pieces) == 1 {
		n, err := c.write(pieces[0])
		return int64(n), err
	}
	record := c.l.takeBuffer()
	defer c.l.giveBuffer(record)
	for len(pieces) > 0 {
		p := pieces[0]
		switch {
		case len(pieces) > 1 && len(p) < bufferSize:
			p = gather((*record)[:0], pieces)
		case len(pieces) > 1:
			p = p[:len(p)/bufferSize*bufferSize]
		}
		n, err := c.write(p)
		sent += int64(n)
		if err != nil {
			return sent, err
		}
		pieces = without(pieces, n)
	}
	return sent, nil
}

// gather fills a record with the pieces.
func gather(record []byte, pieces [][]byte) []byte {
	for _, p := range pieces {
		record = append(record, p[:min(len(p), bufferSize-len(record))]...)
	}
	return record
}

// without takes n bytes off the pieces.
func without(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}
