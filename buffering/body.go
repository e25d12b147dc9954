package buffering

import (
	"errors"
	"io"
)

// ErrTooLarge says that a request body exceeds its limit (nginx: client_max_body_size).
var ErrTooLarge = errors.New("buffering: body too large")

// Body holds a request body: in memory up to a size, then in a spill file. It can be read several times.
type Body struct{}

// NewBody returns an empty body.
func NewBody(arena *Arena, dir *SpillDir, memory int, onSpill func(path string)) *Body {
	return &Body{}
}

// Fill reads the body from r.
func (b *Body) Fill(r io.Reader, length, limit int64) error { return nil }

// Len returns the number of bytes.
func (b *Body) Len() int64 { return 0 }

// Bytes returns the body if it is one piece of memory.
func (b *Body) Bytes() ([]byte, bool) { return nil, true }

// NewReader returns a reader from the start.
func (b *Body) NewReader() *BodyReader { return &BodyReader{} }

// Free gives everything back.
func (b *Body) Free() {}

// BodyReader reads a Body.
type BodyReader struct{}

func (r *BodyReader) Read(p []byte) (int, error)         { return 0, io.EOF }
func (r *BodyReader) WriteTo(w io.Writer) (int64, error) { return 0, nil }
