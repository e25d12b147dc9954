package cgi

import (
	"errors"
	"io"

	"spillway/upstream"
)

// Body is what is left to be sent of a request's body, whose length is known. The zero value is an empty one.
type Body struct {
	memory []byte    // what is left of a body in memory, or
	reader io.Reader // a body that is read,
	left   int64     // the bytes that are left of it
	idle   int       // and how often in a row it had nothing
}

// Begin takes the body of a request over; it is borrowed until Drop.
func (b *Body) Begin(req *upstream.Request) {
	*b = Body{memory: req.Bytes}
	if len(req.Bytes) == 0 && req.BodyLength > 0 {
		b.reader, b.left = req.Body, req.BodyLength
	}
}

// Drop forgets the body.
func (b *Body) Drop() { *b = Body{} }

// InMemory says that the rest is had with Cut, not with Read. So is the rest of an empty body.
func (b *Body) InMemory() bool { return b.reader == nil }

// Left returns the number of bytes that are left.
func (b *Body) Left() int64 { return int64(len(b.memory)) + b.left }

// Cut cuts the next n bytes off a body in memory, or what is left if that is less.
func (b *Body) Cut(n int) []byte {
	piece := b.memory[:min(n, len(b.memory))]
	b.memory = b.memory[len(piece):]
	return piece
}

// maxIdle is how often a body may deliver nothing in a row, as in package bufio.
const maxIdle = 100

// Read reads the next bytes of a body that is read, now and then none. A body that ends before its declared length is an
// *upstream.Error of the kind Canceled, as is one that cannot be read: the peer has no part in it.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.reader.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case n > 0:
		b.idle = 0
	case err == nil:
		if b.idle++; b.idle == maxIdle {
			err = io.ErrNoProgress
		}
	}
	if err != nil && b.left > 0 {
		return n, bodyError(err)
	}
	return n, nil
}

// bodyError is the error for a body that could not be read to its end.
func bodyError(err error) error {
	if own, ok := errors.AsType[*upstream.Error](err); ok {
		return own
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &upstream.Error{Phase: upstream.Sending, Kind: upstream.Canceled, Text: "reading the request body", Err: err}
}
