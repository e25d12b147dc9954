package buffering

import (
	"errors"
	"io"
	"net"
	"os"
)

// The flow of the deliver side:
//
//  1. next waits until there is something and takes it: buffers, moved from in to out, or a section of the spill file.
//  2. It is written to the client, with no lock held.
//  3. delivered counts it, gives empty buffers and an empty file back, and lets the fill side go on.

// section is what goes to the client next: memory, or all that is in the file.
type section struct {
	pieces [][]byte // borrowed from buffers of out, valid until delivered
	file   *spillFile
	offset int64 // in the file
	length int64 // bytes, wherever they are
}

// flusher is a writer that may hold bytes back, such as a *bufio.Writer.
type flusher = interface{ Flush() error }

// asked is a writer that says whether it takes more at the moment, such as a connection. Writable does not wait, and the
// fill side may call it until its own end, even if WriteTo has just returned.
type asked = interface{ Writable() bool }

// fileSender is a writer that takes n bytes of a file from offset on without their passing through memory of ours, such as a
// connection. It may take fewer without an error; if it can take none so, the error is errors.ErrUnsupported. What it has taken may
// still be on its way, and must not change in the file.
type fileSender = interface {
	SendFile(file *os.File, offset, n int64) (int64, error)
}

// WriteTo delivers the body to w until its end and returns the number of bytes that w took. Each piece is written as
// soon as it is there; a writer with a Flush method is flushed before every wait. Several buffers go in one vectored
// write, up to BusySize bytes and 64 KiB. A writer with the method of a fileSender sends what is in the file itself. The fill side
// asks a writer with a method Writable() bool before it spills, which may be when WriteTo has just returned. The error is that of w,
// that of the fill side if the body was cut, that of Abort, or that of the spill file.
func (p *Pipe) WriteTo(w io.Writer) (int64, error) {
	out, _ := w.(flusher)
	client, _ := w.(asked)
	p.mu.Lock()
	p.client = client
	p.mu.Unlock()
	limit := min(p.opts.Limits.BusySize, maxWrite)
	var total int64
	for {
		next, err := p.next(limit, out)
		if err != nil {
			p.Abort(err)
			return total, err
		}
		if next.length == 0 {
			return total, nil
		}
		n, err := p.write(w, next, limit)
		total += n
		p.delivered(next, n)
		if err != nil {
			p.Abort(err)
			return total, err
		}
	}
}

// Read delivers what is there, at most len(b) bytes, waiting for at least one. It is for a client side that does not
// use WriteTo; the errors are the same, with io.EOF at the end of a complete body.
func (p *Pipe) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	next, err := p.next(int64(len(b)), nil)
	if err != nil {
		return 0, err
	}
	if next.length == 0 {
		return 0, io.EOF
	}
	n := 0
	if next.file != nil {
		n = int(min(next.length, int64(len(b))))
		if err := next.file.readAt(b[:n], next.offset); err != nil {
			p.Abort(err)
			return 0, err
		}
	}
	for _, piece := range next.pieces {
		n += copy(b[n:], piece)
	}
	p.delivered(next, int64(n))
	return n, nil
}

// next waits for bytes and takes limit of them at most, if they are in memory; delivered must follow. An empty section means that
// the body is complete and all of it was delivered.
func (p *Pipe) next(limit int64, out flusher) (section, error) {
	flushed := out == nil
	p.mu.Lock()
	for {
		if p.aborted != nil {
			err := p.aborted
			p.mu.Unlock()
			return section{}, err
		}
		if next := p.take(limit); next.length > 0 {
			p.mu.Unlock()
			return next, nil
		}
		if p.closed {
			err := p.closeErr
			p.mu.Unlock()
			return section{}, err
		}
		if !flushed {
			p.mu.Unlock()
			if err := out.Flush(); err != nil {
				return section{}, err
			}
			flushed = true
			p.mu.Lock()
			continue
		}
		p.deliverWaits = true
		p.mu.Unlock()
		<-p.filled
		p.mu.Lock()
	}
}

// take returns what is next in the order out, file, in; its length is 0 if there is nothing at the moment.
func (p *Pipe) take(limit int64) section {
	if next := p.taken(limit); next.length > 0 {
		return next
	}
	if p.fileR < p.fileW {
		return section{file: p.file, offset: p.fileR, length: p.fileW - p.fileR}
	}
	if p.moving {
		return section{} // the buffers that are being spilled come before those of in
	}
	var size int64
	for b := p.in.first; b != nil && !b.empty(); b = p.in.first {
		size += int64(b.Len())
		if size > limit && size > int64(b.Len()) {
			break
		}
		p.out.push(p.in.pop())
	}
	return p.taken(limit)
}

// taken returns what is in the buffers of out.
func (p *Pipe) taken(limit int64) section {
	p.pieces = p.pieces[:0]
	var length int64
	for b := p.out.first; b != nil && length < limit; b = b.next {
		piece := b.Bytes()
		piece = piece[:min(int64(len(piece)), limit-length)]
		if len(piece) > 0 {
			p.pieces = append(p.pieces, piece)
			length += int64(len(piece))
		}
	}
	return section{pieces: p.pieces, length: length}
}

// write writes a section, or limit bytes of it at least, and returns how much of it w took.
func (p *Pipe) write(w io.Writer, next section, limit int64) (int64, error) {
	switch {
	case next.file != nil:
		return p.writeFromFile(w, next, limit)
	case len(next.pieces) == 1:
		return writeAll(w, next.pieces[0])
	default:
		return p.writeVector(w, next)
	}
}

// writeFromFile has the system send the section, or reads a part of it back through a buffer, beyond the budget if need be:
// without it the body could not be delivered.
func (p *Pipe) writeFromFile(w io.Writer, next section, limit int64) (int64, error) {
	if direct, ok := w.(fileSender); ok {
		n, err := direct.SendFile(next.file.file, next.offset, next.length)
		if !errors.Is(err, errors.ErrUnsupported) {
			return n, err
		}
	}
	b := p.opts.Arena.Get(int(min(next.length, limit)))
	defer p.opts.Arena.Put(b)
	if err := next.file.readAt(b.B, next.offset); err != nil {
		return 0, err
	}
	return writeAll(w, b.B)
}

func writeAll(w io.Writer, b []byte) (int64, error) {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return int64(n), err
}

// writeVector writes the pieces in one system call if w is a connection.
func (p *Pipe) writeVector(w io.Writer, next section) (int64, error) {
	p.vector = net.Buffers(next.pieces) // WriteTo consumes it, and a local variable would move to the heap
	n, err := p.vector.WriteTo(w)
	p.vector = nil
	if err == nil && n < next.length {
		err = io.ErrShortWrite
	}
	return n, err
}

// delivered counts n bytes of a section as taken by the client.
func (p *Pipe) delivered(next section, n int64) {
	p.mu.Lock()
	p.patience.delivered(n)
	if next.file != nil {
		p.fileR += n
		p.emptyFile()
	} else {
		p.emptyBuffers(n)
	}
	p.mu.Unlock()
}

// emptyBuffers gives back those of the taken buffers that are empty after n more bytes, except one that is being
// filled.
func (p *Pipe) emptyBuffers(n int64) {
	for b := p.out.first; b != nil; b = p.out.first {
		taken := min(n, int64(b.Len()))
		b.R += int(taken)
		n -= taken
		if !b.empty() || b == p.tail && p.reading {
			return
		}
		p.drop(p.out.pop())
		p.wakeFill()
	}
}

// emptyFile gives the space of the file back once all of it was delivered, and lets it be used again: what was sent from there and has
// not arrived keeps the memory that it is in. Space that the system does not take back is not used again for that reason. mu is held,
// but not while the file changes.
func (p *Pipe) emptyFile() {
	if p.fileR < p.fileW || p.moving {
		return
	}
	p.moving = true
	p.mu.Unlock()
	emptied := p.file.cut(0)
	p.mu.Lock()
	p.moving = false
	if emptied {
		p.fileR, p.fileW = 0, 0
	}
	p.wakeFill()
}
