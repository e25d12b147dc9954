package http1

import (
	"errors"
	"io"
	"net"
	"strconv"

	"spillway/upstream"
)

// pieceSize is how much of a body is sent between two looks for an early answer. With half of it a body of 1 MB from the spill file
// costs a sixth more.
const pieceSize = 64 << 10

// chunkRoom and chunkTail are the bytes before and behind the data of a chunk: "fff3" and CRLF, CRLF and the last chunk.
const (
	chunkRoom = 6
	chunkTail = 2 + len(lastChunk)
	lastChunk = "0\r\n\r\n"
)

// sender is the part of a request body that is still to be sent.
type sender struct {
	bytes  []byte    // of a body in memory
	body   io.Reader // a streamed body; nil when all of it has been sent
	left   int64     // bytes of body to come, -1 when unknown
	broken bool      // the connection did not take the whole request and never will

	pieces [2][]byte // the backing array of vector
	vector net.Buffers
}

func (s *sender) start(req *upstream.Request) {
	s.bytes, s.body, s.left, s.broken = req.Bytes, nil, bodyLength(req), false
	if len(s.bytes) == 0 && s.left != 0 {
		s.body = req.Body
	}
}

// pending says that the peer has not got the whole request.
func (s *sender) pending() bool { return s.broken || s.more() }

// more says that there is something to send to a connection that takes it.
func (s *sender) more() bool { return !s.broken && (len(s.bytes) > 0 || s.body != nil) }

// abandon gives the rest of the body up.
func (s *sender) abandon() { s.bytes, s.body, s.broken = nil, nil, true }

// sendFirst writes the head together with the first piece of a body in memory.
func (s *sender) sendFirst(c *upstream.Conn, head []byte) error {
	if len(s.bytes) == 0 {
		_, err := c.Write(head)
		return err
	}
	n := min(len(s.bytes), pieceSize)
	s.pieces = [2][]byte{head, s.bytes[:n]}
	s.vector = s.pieces[:]
	s.bytes = s.bytes[n:]
	_, err := c.WriteBuffers(&s.vector)
	s.pieces = [2][]byte{}
	return s.check(err)
}

// sendBody sends what is left of the body, until the peer answers.
func (p *Protocol) sendBody(c *upstream.Conn, s *sender) error {
	for s.more() {
		if c.Readable() {
			return nil
		}
		if err := p.sendPiece(c, s); err != nil {
			return c.Answered(err)
		}
		c.Yield()
	}
	return nil
}

// sendPiece sends the next piece of the body.
func (p *Protocol) sendPiece(c *upstream.Conn, s *sender) error {
	if len(s.bytes) > 0 {
		n := min(len(s.bytes), pieceSize)
		piece := s.bytes[:n]
		s.bytes = s.bytes[n:]
		_, err := c.Write(piece)
		return s.check(err)
	}
	piece, _ := p.pieces.Get().(*[pieceSize]byte)
	defer p.pieces.Put(piece)
	if s.left < 0 {
		return s.sendChunk(c, piece[:])
	}
	return s.sendCounted(c, piece[:])
}

// sendCounted sends a piece of a body of known length.
func (s *sender) sendCounted(c *upstream.Conn, piece []byte) error {
	n, end, err := s.read(piece[:min(int64(len(piece)), s.left)])
	if err != nil {
		return err
	}
	s.left -= int64(n)
	if end && s.left > 0 {
		s.broken = true
		return bodyError(io.ErrUnexpectedEOF)
	}
	if s.left == 0 {
		s.body = nil
	}
	_, err = c.Write(piece[:n])
	return s.check(err)
}

// sendChunk sends a piece of a body of unknown length as one chunk (RFC 9112, section 7.1).
func (s *sender) sendChunk(c *upstream.Conn, piece []byte) error {
	n, end, err := s.read(piece[chunkRoom : len(piece)-chunkTail])
	if err != nil {
		return err
	}
	from, to := chunkRoom, chunkRoom
	if n > 0 {
		var size [chunkRoom]byte
		head := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
		from -= copy(piece[chunkRoom-len(head):], head)
		to += n + copy(piece[chunkRoom+n:], "\r\n")
	}
	if end {
		s.body = nil
		to += copy(piece[to:], lastChunk)
	}
	_, err = c.Write(piece[from:to])
	return s.check(err)
}

// read reads from the streamed body until there is something.
func (s *sender) read(p []byte) (n int, end bool, err error) {
	for range 100 { // as many as bufio allows
		n, err = s.body.Read(p)
		if errors.Is(err, io.EOF) {
			return n, true, nil
		}
		if err != nil {
			s.broken = true
			return 0, false, bodyError(err)
		}
		if n > 0 {
			return n, false, nil
		}
	}
	s.broken = true
	return 0, false, bodyError(io.ErrNoProgress)
}

// check notes that the connection is of no further use for the request.
func (s *sender) check(err error) error {
	s.broken = s.broken || err != nil
	return err
}

// bodyError is the error for a request body that could not be read. It is not the peer's fault.
func bodyError(err error) error {
	return &upstream.Error{Phase: upstream.Sending, Kind: upstream.Canceled, Text: "request body ended early", Err: err}
}
