package buffering

import "io"

// BodyReader reads a Body from its start to its end. Several may read the same body at the same time.
type BodyReader struct {
	body   *Body
	offset int64 // what was read
}

// Len returns how many bytes are left to read.
func (r *BodyReader) Len() int64 { return r.body.Len() - r.offset }

// Read implements io.Reader.
func (r *BodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if inFile := r.body.fileLen - r.offset; inFile > 0 {
		p = p[:min(int64(len(p)), inFile)]
		if err := r.body.file.readAt(p, r.offset); err != nil {
			return 0, err
		}
		r.offset += int64(len(p))
		return len(p), nil
	}
	piece := r.piece()
	if len(piece) == 0 {
		return 0, io.EOF
	}
	n := copy(p, piece)
	r.offset += int64(n)
	return n, nil
}

// WriteTo writes what is left to w.
func (r *BodyReader) WriteTo(w io.Writer) (int64, error) {
	total, err := r.writeFile(w)
	for err == nil {
		piece := r.piece()
		if len(piece) == 0 {
			break
		}
		var n int64
		n, err = writeAll(w, piece)
		r.offset += n
		total += n
	}
	return total, err
}

// writeFile writes what is left of the file, through a buffer.
func (r *BodyReader) writeFile(w io.Writer) (int64, error) {
	left := r.body.fileLen - r.offset
	if left <= 0 {
		return 0, nil
	}
	arena := r.body.arena
	b := arena.Get(int(min(left, maxWrite)))
	defer arena.Put(b)
	var total int64
	for total < left {
		piece := b.B[:min(left-total, int64(len(b.B)))]
		if err := r.body.file.readAt(piece, r.offset); err != nil {
			return total, err
		}
		n, err := writeAll(w, piece)
		r.offset += n
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// piece returns what is left of the buffer at the offset, nothing at the end; the offset is behind the file.
func (r *BodyReader) piece() []byte {
	skip := r.offset - r.body.fileLen
	for b := r.body.buffers.first; b != nil; b = b.next {
		if skip < int64(b.Len()) {
			return b.Bytes()[skip:]
		}
		skip -= int64(b.Len())
	}
	return nil
}
