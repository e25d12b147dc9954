package fastcgi

import (
	"encoding/binary"
	"net"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// The flow of a request:
//
//  1. head: BEGIN_REQUEST, the PARAMS records and the empty one that ends them (section 5.2), built in buf
//  2. the body as STDIN records, ended by an empty one (section 5.3):
//     a small body in memory is copied behind the head, so that all leaves in one write;
//     a larger one is written from where it lies, a few records at a time;
//     any other is read into buf, record by record
//
// Between two pieces of a body the peer is listened to. An application that answers before it has read everything may close
// at once, which can destroy the answer on its way, or may want its output taken before it reads on: so the rest of the
// body waits in the answer, which sends it whenever the peer has nothing to say (answer.feed).

const (
	requestSize = 32 << 10 // of the buffer: the head of nearly any request, and one read of a body
	copyLimit   = 16 << 10 // a body up to here is copied: cheaper than a second piece for the kernel
	minRead     = 4 << 10  // a body is read behind the head only when there is room for this
	maxContent  = 0xffff   // of a record (section 3.3)
	bodyRecord  = maxContent &^ 7
	batch       = 4 // records in one write, so that one wait for the peer covers no more than 256 KiB
)

// request builds and writes one request; it is reused.
type request struct {
	vars   cgi.Vars
	buf    []byte
	params int      // where the open PARAMS record begins in buf
	body   cgi.Body // what is left of it

	headers [batch + 1][headerSize]byte // of the records of a batch, in memory that does not move
	list    [2*batch + 2][]byte
	pieces  net.Buffers // part of list
}

// send returns whether the request was sent to its end; otherwise next goes on.
func (r *request) send(p *Protocol, c *upstream.Conn, req *upstream.Request) (done bool, err error) {
	if err := p.params.Fill(&r.vars, req); err != nil {
		return false, err
	}
	r.head(p.keepConn)
	r.body.Begin(req)
	if r.body.InMemory() && len(req.Bytes) <= copyLimit {
		if len(req.Bytes) > 0 {
			r.header(typeStdin, len(req.Bytes))
			r.buf = append(r.buf, req.Bytes...)
		}
		r.header(typeStdin, 0)
		return true, r.flush(c)
	}
	for {
		if done, err = r.next(c); done || err != nil || c.Readable() {
			return done, err
		}
		c.Yield()
	}
}

// next sends the next piece of the body.
func (r *request) next(c *upstream.Conn) (done bool, err error) {
	if r.body.InMemory() {
		return r.nextBatch(c)
	}
	return r.nextRead(c)
}

// head fills buf up to the end of the variables.
func (r *request) head(keepConn bool) {
	flags := byte(0)
	if keepConn {
		flags = flagKeepConn
	}
	r.buf = r.buf[:0]
	r.header(typeBeginRequest, 8)
	r.buf = append(r.buf, 0, roleResponder, flags, 0, 0, 0, 0, 0) // section 5.1
	r.openParams()
	if r.vars.Size()+maxLengths*r.vars.Len() <= maxContent { // nearly always
		r.appendParams()
	} else {
		for i := range r.vars.Len() {
			r.param(r.vars.At(i))
		}
	}
	r.closeParams()
	r.header(typeParams, 0)
}

// header appends the header of a record (section 3.3); records have no padding.
func (r *request) header(recordType byte, length int) {
	r.buf = append(r.buf, version, recordType, 0, requestID, byte(length>>8), byte(length), 0, 0)
}

func (r *request) openParams() {
	r.params = len(r.buf)
	r.header(typeParams, 0)
}

func (r *request) closeParams() {
	length := len(r.buf) - r.params - headerSize
	binary.BigEndian.PutUint16(r.buf[r.params+4:], uint16(length))
}

// maxLengths is how many bytes the two lengths of a pair take at most.
const maxLengths = 8

// appendParams appends all variables as name-value pairs (section 3.4), which the open record has room for.
func (r *request) appendParams() {
	b := r.buf
	for i := range r.vars.Len() {
		pair, name := r.vars.Pair(i)
		if value := len(pair) - name; name <= 127 && value <= 127 {
			b = append(b, byte(name), byte(value))
		} else {
			b = appendLength(appendLength(b, name), value)
		}
		b = append(b, pair...)
	}
	r.buf = b
}

// param appends a variable as a name-value pair (section 3.4). A pair that does not fit into the open record begins the
// next one; only a pair that is larger than a record is cut.
func (r *request) param(name, value []byte) {
	size := lengthSize(len(name)) + lengthSize(len(value)) + len(name) + len(value)
	if used := len(r.buf) - r.params - headerSize; used > 0 && used+size > maxContent {
		r.closeParams()
		r.openParams()
	}
	if size <= maxContent {
		r.buf = append(appendLength(appendLength(r.buf, len(name)), len(value)), name...)
		r.buf = append(r.buf, value...)
		return
	}
	var lengths [8]byte
	r.stretch(appendLength(appendLength(lengths[:0], len(name)), len(value)))
	r.stretch(name)
	r.stretch(value)
}

// stretch appends a part of a pair over as many records as it takes.
func (r *request) stretch(part []byte) {
	for len(part) > 0 {
		room := maxContent - (len(r.buf) - r.params - headerSize)
		if room == 0 {
			r.closeParams()
			r.openParams()
			continue
		}
		n := min(room, len(part))
		r.buf = append(r.buf, part[:n]...)
		part = part[n:]
	}
}

// lengthSize is how many bytes a length takes: 1 up to 127, else 4 with the top bit set.
func lengthSize(n int) int {
	if n <= 127 {
		return 1
	}
	return 4
}

func appendLength(dst []byte, n int) []byte {
	if n <= 127 {
		return append(dst, byte(n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n)|1<<31)
}

// flush writes what is in buf.
func (r *request) flush(c *upstream.Conn) error {
	_, err := c.Write(r.buf)
	r.buf = r.buf[:0]
	return err
}

// nextBatch writes a few records of a body in memory without copying them; the first time, the head is before them.
func (r *request) nextBatch(c *upstream.Conn) (done bool, err error) {
	r.pieces = append(r.list[:0], r.buf)
	for i := 0; i < batch && r.body.Left() > 0; i++ {
		piece := r.body.Cut(bodyRecord)
		r.headers[i] = [headerSize]byte{version, typeStdin, 0, requestID, byte(len(piece) >> 8), byte(len(piece))}
		r.pieces = append(r.pieces, r.headers[i][:], piece)
	}
	if done = r.body.Left() == 0; done {
		r.headers[batch] = [headerSize]byte{version, typeStdin, 0, requestID}
		r.pieces = append(r.pieces, r.headers[batch][:])
	}
	_, err = c.WriteBuffers(&r.pieces)
	clear(r.list[:]) // the body is borrowed
	r.buf = r.buf[:0]
	return done, err
}

// nextRead reads a record of the body behind what is in buf and writes both. A body that ends before its length is not
// ended by an empty record: the application must not take it for a whole one.
func (r *request) nextRead(c *upstream.Conn) (done bool, err error) {
	if cap(r.buf)-len(r.buf) < 2*headerSize+minRead {
		if err := r.flush(c); err != nil {
			return false, err
		}
	}
	start := len(r.buf) + headerSize
	room := min(cap(r.buf)-start-headerSize, bodyRecord)
	n, err := r.body.Read(r.buf[start : start+room])
	if err != nil {
		return false, err
	}
	if n > 0 {
		r.header(typeStdin, n)
		r.buf = r.buf[:start+n]
	}
	if done = r.body.Left() == 0; done {
		r.header(typeStdin, 0)
	} else if n == 0 {
		return false, nil
	}
	return done, r.flush(c)
}
