package buffering

import (
	"errors"
	"io"
)

// ErrTooLarge says that a request body exceeds its limit (nginx: client_max_body_size, status 413).
var ErrTooLarge = errors.New("buffering: body too large")

// ErrBudget says that a body had to stay in memory, because nothing can be spilled, and the budget of the arena is
// used up.
var ErrBudget = errors.New("buffering: memory budget used up")

// Body holds a request body: in memory up to a size, then in a spill file. One goroutine fills it; after that it can be
// read several times, also at once, until Free.
type Body struct {
	arena   *Arena
	dir     *SpillDir         // nil: never spill
	memory  int               // size of a buffer
	onSpill func(path string) // may be nil

	file     *spillFile // nil: nothing was spilled
	fileLen  int64      // bytes in the file ...
	buffers  queue      // ... and behind them in memory; more than one buffer only if spilling failed
	memLen   int64      // bytes in the buffers
	diskFail error      // why nothing is spilled any more
	freed    bool
}

// NewBody returns an empty body, a recycled one if there is one. Memory is the size of its buffer in bytes (nginx:
// client_body_buffer_size). OnSpill is called once, when the spill file is created; nil: nobody wants to know.
// With a nil dir the body stays in memory as far as the arena's budget allows. It must end with Free.
func NewBody(arena *Arena, dir *SpillDir, memory int, onSpill func(path string)) *Body {
	b, _ := arena.bodies.Get().(*Body)
	if b == nil {
		b = new(Body)
	}
	*b = Body{arena: arena, dir: dir, memory: max(memory, 1<<smallestClass), onSpill: onSpill}
	return b
}

// Fill reads the body, once: length bytes, or up to io.EOF if length is -1. A body of more than limit bytes is
// ErrTooLarge, before anything is read if the length says so; limit 0 means no limit. Fewer bytes than declared are
// io.ErrUnexpectedEOF, other errors are those of r. Trouble with the disk keeps the body in memory if the budget of
// the arena allows; otherwise it is the error. What was read before an error stays until Free.
func (b *Body) Fill(r io.Reader, length, limit int64) error {
	if limit > 0 && length > limit {
		return ErrTooLarge
	}
	if length == 0 {
		return nil
	}
	current := b.arena.Get(b.firstSize(length))
	b.buffers.push(current)
	empty := 0
	for length < 0 || b.Len() < length {
		if current.full() {
			var err error
			if current, err = b.more(current); err != nil {
				return err
			}
		}
		room := current.Room()
		if length >= 0 {
			room = room[:min(int64(len(room)), length-b.Len())]
		}
		n, err := r.Read(room)
		current.W += n
		b.memLen += int64(n)
		if limit > 0 && b.Len() > limit {
			return ErrTooLarge
		}
		if err != nil {
			return b.ended(err, length)
		}
		if n > 0 {
			empty = 0
		} else if empty++; empty == maxEmptyReads {
			return io.ErrNoProgress
		}
	}
	return nil
}

// firstSize is nginx's rule: a declared length below 1.25 times the buffer size gets one exact buffer and no file.
func (b *Body) firstSize(length int64) int {
	if length >= 0 && length*4 < int64(b.memory)*5 {
		return int(length)
	}
	return b.memory
}

// ended says how a body ended whose reader returned err.
func (b *Body) ended(err error, length int64) error {
	atEnd := err == io.EOF //nolint:errorlint // a wrapped io.EOF is a client that was lost, not the end of the body
	switch {
	case length >= 0 && b.Len() == length:
		return nil // all that was declared is there
	case atEnd && length >= 0:
		return io.ErrUnexpectedEOF
	case atEnd:
		return nil
	default:
		return err
	}
}

// more makes room when the last buffer is full: it goes to the file, or gets a successor.
func (b *Body) more(last *Buffer) (*Buffer, error) {
	if b.diskFail == nil {
		if b.diskFail = b.spill(last); b.diskFail == nil {
			return last, nil
		}
	}
	next := b.arena.TryGet(b.memory)
	if next == nil {
		return nil, b.diskFail
	}
	b.buffers.push(next)
	return next, nil
}

// spill moves the buffer's bytes to the end of the file. It is the only buffer.
func (b *Body) spill(full *Buffer) error {
	if b.dir == nil {
		return ErrBudget
	}
	if b.file == nil {
		file, err := b.dir.create()
		if err != nil {
			return err
		}
		b.file = file
		if b.onSpill != nil {
			b.onSpill(file.path())
		}
	}
	if err := b.file.writeAt(full.Bytes(), b.fileLen); err != nil {
		return err
	}
	b.fileLen += int64(full.Len())
	b.memLen -= int64(full.Len())
	full.W = 0
	return nil
}

// Len returns the number of bytes of the body.
func (b *Body) Len() int64 { return b.fileLen + b.memLen }

// Spilled returns how many of the bytes are in the spill file.
func (b *Body) Spilled() int64 { return b.fileLen }

// Bytes returns the whole body, valid until Free, if it is one piece of memory, and false if it is not; NewReader can
// read it always.
func (b *Body) Bytes() ([]byte, bool) {
	first := b.buffers.first
	switch {
	case b.fileLen > 0:
		return nil, false
	case first == nil:
		return nil, true
	case first.next == nil:
		return first.Bytes(), true
	default:
		return nil, false
	}
}

// NewReader returns a reader of the whole body from its start, for one attempt. It is valid until Free.
func (b *Body) NewReader() *BodyReader { return &BodyReader{body: b} }

// Free gives all back.
func (b *Body) Free() {
	if b.freed {
		panic("buffering: body freed twice")
	}
	b.buffers.free(b.arena)
	if b.file != nil {
		b.file.close()
	}
	arena := b.arena
	*b = Body{freed: true}
	arena.bodies.Put(b)
}
