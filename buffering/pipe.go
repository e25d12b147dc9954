package buffering

import (
	"errors"
	"io"
)

// ErrAborted is what the fill side gets when the deliver side of a pipe is gone.
var ErrAborted = errors.New("buffering: deliver side gone")

// Limits bound what one exchange may hold; they are nginx's directives without their module prefix.
type Limits struct {
	BufferSize    int   // buffer_size: the buffer for the head and the first bytes; the pipe takes it over (Take)
	Buffers       int   // N of buffers: how many a pipe gets at most, besides one that was handed over
	BufferBytes   int   // S of buffers: the size of each
	BusySize      int64 // busy_buffers_size: bytes on their way to the client at most
	MaxTempFile   int64 // max_temp_file_size: bytes in the spill file at most; 0 means that nothing is spilled
	TempFileWrite int64 // temp_file_write_size: bytes spilled at once at most, but at least one buffer
}

// PipeOptions says what a pipe works with.
type PipeOptions struct {
	Arena  *Arena
	Dir    *SpillDir // nil: never spill
	Limits Limits

	// OnSpill is called once, when the spill file is created, by the goroutine that fills; no lock is held. nil: nobody
	// wants to know.
	OnSpill func(path string)

	// OnSpillError is called once, at the first failure to spill, like OnSpill. The body is not harmed: the peer is
	// read at the speed of the client. nil: nobody wants to know.
	OnSpillError func(error)
}

// Pipe holds one response body between the peer and the client.
type Pipe struct{}

// NewPipe returns an empty pipe.
func NewPipe(opts PipeOptions) *Pipe { return &Pipe{} }

// Take hands a buffer with bytes over.
func (p *Pipe) Take(b *Buffer) {}

// Append copies b into the pipe.
func (p *Pipe) Append(b []byte) error { return nil }

// Fill reads r to its end.
func (p *Pipe) Fill(r io.Reader) error { return nil }

// CloseWrite ends the fill side.
func (p *Pipe) CloseWrite(err error) {}

// WriteTo delivers.
func (p *Pipe) WriteTo(w io.Writer) (int64, error) { return 0, nil }

// Read delivers.
func (p *Pipe) Read(b []byte) (int, error) { return 0, io.EOF }

// Abort says that the deliver side is gone.
func (p *Pipe) Abort(err error) {}

// Spilled returns bytes.
func (p *Pipe) Spilled() int64 { return 0 }

// Free ends the deliver side.
func (p *Pipe) Free() {}
