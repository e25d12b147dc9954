package cgi

import (
	"net"

	"spillway/upstream"
)

// The flow of a request in a OneShot:
//
//  1. the block of variables, built in buf
//  2. the body: a small one in memory is copied behind the block, so that all leaves in one write; a larger one is written
//     from where it lies, piece by piece; any other is read into buf
//
// Between two pieces of a body the peer is listened to. An application that answers before it has read everything may close
// at once, as uWSGI does, which can destroy the answer on its way, or may want its output taken before it reads on: so the
// rest of the body waits in the answer, which sends it whenever the peer has nothing to say (incoming.feed).

const (
	requestSize = 32 << 10  // of the buffer: the block of nearly any request, and one read of a body
	copyLimit   = 16 << 10  // a body up to here is copied: cheaper than a second piece for the kernel
	minRead     = 4 << 10   // a body is read behind the block only when there is room for this
	memoryPiece = 256 << 10 // of a body in memory; one wait for the peer covers no more
)

// outgoing builds and writes one request; it is reused.
type outgoing struct {
	vars Vars
	buf  []byte // what is to be written before the next piece of the body
	body Body

	list   [2][]byte
	pieces net.Buffers // list while it is written
}

// send returns whether the request was sent to its end; otherwise next goes on.
func (o *outgoing) send(p *OneShot, c *upstream.Conn, req *upstream.Request) (done bool, err error) {
	if err := p.params.Fill(&o.vars, req); err != nil {
		return false, err
	}
	block, err := p.block(o.buf[:0], &o.vars)
	if err != nil {
		return false, err
	}
	o.buf = block
	o.body.Begin(req)
	if o.body.InMemory() && len(req.Bytes) <= copyLimit {
		o.buf = append(o.buf, req.Bytes...)
		return true, o.flush(c)
	}
	for {
		if done, err = o.next(c); done || err != nil || c.Readable() {
			return done, err
		}
		c.Yield()
	}
}

// next sends the next piece of the body.
func (o *outgoing) next(c *upstream.Conn) (done bool, err error) {
	if !o.body.InMemory() {
		return o.nextRead(c)
	}
	o.list = [2][]byte{o.buf, o.body.Cut(memoryPiece)}
	o.pieces = o.list[:]
	_, err = c.WriteBuffers(&o.pieces)
	o.list = [2][]byte{} // the body is borrowed
	o.buf = o.buf[:0]
	return o.body.Left() == 0, err
}

// nextRead reads a piece of the body behind what is in buf and writes both.
func (o *outgoing) nextRead(c *upstream.Conn) (done bool, err error) {
	if cap(o.buf)-len(o.buf) < minRead {
		if err := o.flush(c); err != nil {
			return false, err
		}
	}
	n, err := o.body.Read(o.buf[len(o.buf):cap(o.buf)])
	if n == 0 || err != nil {
		return false, err
	}
	o.buf = o.buf[:len(o.buf)+n]
	return o.body.Left() == 0, o.flush(c)
}

// flush writes what is in buf.
func (o *outgoing) flush(c *upstream.Conn) error {
	_, err := c.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}
