package http1

import (
	"errors"
	"io"

	"spillway/upstream"
)

// framing is how the end of a body is found: RFC 9112, section 6.3.
type framing uint8

const (
	counted framing = iota // after a number of bytes, which may be 0
	chunked                // after the last chunk
	closing                // when the peer closes
)

// body reads the rest of a response's body.
type body struct {
	protocol *Protocol
	conn     *upstream.Conn
	resp     *upstream.Response
	sender   *sender // what the peer has not got of the request yet
	framing  framing
	left     int64   // counted: bytes to come
	chunks   decoder // chunked
	reusable bool    // unless the peer sends too much, or has not got the whole request
	err      error   // what every further Read returns
}

// start sets the body up by the head in s.
func (b *body) start(p *Protocol, c *upstream.Conn, resp *upstream.Response, s *state) {
	h := &s.head
	keptOpen := !h.close && (h.minor != '0' || h.keepAlive)
	*b = body{
		protocol: p, conn: c, resp: resp, sender: &s.sender,
		reusable: p.keepAlive && keptOpen && (!h.chunked || h.length < 0 && h.minor != '0'),
	}
	b.chunks.keep = resp.Trailer != nil
	resp.Length = h.length
	never := h.status == 204 || h.status == 304
	if (never || resp.Head) && (h.chunked || h.length > 0 || h.length < 0 && !never) {
		// By its head it could have a body, and some applications send that to a HEAD too, maybe a moment later: it would
		// be taken for the next response.
		b.reusable = false
	}
	switch {
	case resp.Head || h.status == 304:
		if h.chunked {
			resp.Length = -1
		}
	case h.status == 204:
		resp.Length = 0
	case h.chunked:
		b.framing, resp.Length = chunked, -1
	case h.length >= 0:
		b.left = h.length
	default:
		b.framing, b.reusable = closing, false
	}
}

// prefix decodes what came with the head and fills the response's Prefix, Complete and Body.
func (b *body) prefix(p []byte) ([]byte, error) {
	b.conn.Phase = upstream.ReadingBody
	n, done, err := b.take(p)
	if err != nil {
		return nil, err
	}
	if done {
		b.resp.Complete = true
		b.end(io.EOF)
	} else {
		b.resp.Body, b.resp.Plain = b, b.framing != chunked && !b.sender.more()
	}
	return p[:n], nil
}

// Read returns bytes of the body as they come. The error is io.EOF at the body's true end, together with its last bytes so
// that the connection is free at once, else an *upstream.Error.
func (b *body) Read(p []byte) (int, error) {
	for b.err == nil && len(p) > 0 {
		if b.sender.more() && !b.conn.Readable() {
			b.sendMore()
			continue
		}
		n, err := b.conn.Read(p)
		if err != nil {
			b.end(b.readError(err))
			return 0, b.err
		}
		n, done, err := b.take(p[:n])
		if err != nil {
			b.end(err)
			return 0, b.err
		}
		if done {
			b.end(io.EOF)
		}
		if n > 0 {
			return n, b.err
		}
	}
	return 0, b.err
}

// sendMore sends a piece of the request to a peer that has begun to answer, while it pauses: the two could otherwise wait
// for each other, each with its buffers full.
func (b *body) sendMore() {
	b.conn.Phase = upstream.Sending
	if err := b.conn.Answering(b.protocol.sendPiece(b.conn, b.sender)); err != nil {
		b.end(err)
		return
	}
	b.conn.Phase = upstream.ReadingBody
}

// take decodes in place what has arrived and returns how much of it is body, and whether the body is complete.
func (b *body) take(p []byte) (n int, done bool, err error) {
	used := len(p)
	switch b.framing {
	case counted:
		n = int(min(b.left, int64(len(p))))
		b.left -= int64(n)
		used, done = n, b.left == 0
	case chunked:
		n, used, err = b.chunks.decode(p)
		if done = b.chunks.done(); done {
			b.chunks.trailers(b.resp.AddTrailer)
		}
	case closing:
		n = len(p)
	}
	if done {
		b.resp.Excess = used < len(p)
		b.resp.Reusable = b.reusable && !b.resp.Excess && !b.sender.pending()
	}
	return n, done, err
}

// readError is the meaning of an error of the connection for the body: its end is the body's end only where nothing else
// marks it.
func (b *body) readError(err error) error {
	if errors.Is(err, io.EOF) && b.framing != closing {
		return upstream.ClosedEarly(upstream.ReadingBody)
	}
	return err
}

// end makes err what every Read returns from now on, and lets go of the response.
func (b *body) end(err error) { b.err, b.resp, b.conn = err, nil, nil }
