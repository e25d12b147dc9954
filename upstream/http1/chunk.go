package http1

import (
	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// overheadLimit bounds the bytes of all chunk extensions and trailers of one body: they carry nothing for us, and a peer
// could send them without end.
const overheadLimit = 16 << 10

// digitLimit bounds the digits of a chunk size, so that it fits an int64; leading zeros count.
const digitLimit = 15

// decoder decodes the chunked coding (RFC 9112, section 7.1) byte by byte, wherever it is cut. Line ends are CRLF exactly,
// sizes are hexadecimal digits and nothing else. The zero value is ready.
type decoder struct {
	state    chunkState
	digits   int   // of the size that is being read
	left     int64 // bytes to come of the chunk
	overhead int

	keep  bool   // the trailer section is wanted
	lines []byte // its lines so far, at most overheadLimit
}

// chunkState names what comes next.
type chunkState uint8

const (
	sizeStart chunkState = iota // the first digit of a chunk's size
	sizeNext                    // further digits, an extension, or the line's end
	extension
	sizeLF
	data
	dataCR
	dataLF
	trailerStart // a trailer's first byte, or the end
	trailerName
	trailerValue
	trailerLF
	endLF
	ended
)

// done says that the last chunk and the trailers were read.
func (d *decoder) done() bool { return d.state == ended }

// decode moves the data in p to its beginning. It returns the length of the data and how much of p was used: all, unless
// the body ended.
func (d *decoder) decode(p []byte) (n, used int, err error) {
	for used < len(p) && d.state != ended {
		if d.state == data {
			size := int(min(d.left, int64(len(p)-used)))
			if n != used {
				copy(p[n:], p[used:used+size])
			}
			n, used = n+size, used+size
			if d.left -= int64(size); d.left == 0 {
				d.state = dataCR
			}
			continue
		}
		if !d.step(p[used]) || d.overhead > overheadLimit {
			return 0, used, upstream.NewError(upstream.ReadingBody, upstream.Invalid, "upstream sent invalid chunked response")
		}
		used++
	}
	return n, used, nil
}

// step takes one byte that is not data. It returns false when the byte may not stand there.
func (d *decoder) step(c byte) bool {
	switch d.state {
	case sizeStart:
		d.digits, d.left = 0, 0
		return d.hex(c)
	case sizeNext:
		return d.sizeEnd(c) || d.hex(c)
	case extension:
		d.overhead++
		return d.text(c, sizeLF)
	case sizeLF:
		if d.left == 0 {
			return d.expect(c, '\n', trailerStart)
		}
		return d.expect(c, '\n', data)
	case dataCR:
		return d.expect(c, '\r', dataLF)
	case dataLF:
		return d.expect(c, '\n', sizeStart)
	case endLF:
		return d.expect(c, '\n', ended)
	default:
		d.overhead++
		if d.keep {
			d.lines = append(d.lines, c)
		}
		return d.trailer(c)
	}
}

// trailers calls visit for each field of the trailer section, which has been read.
func (d *decoder) trailers(visit func(name, value []byte)) {
	for rest := d.lines; len(rest) > 1; { // the CR of the blank line is the last byte
		var line []byte
		line, rest = cutLine(rest)
		if name, value, ok := cutField(line); ok {
			visit(name, value)
		}
	}
}

// hex takes a digit of the chunk's size.
func (d *decoder) hex(c byte) bool {
	var value byte
	switch {
	case digit(c):
		value = c - '0'
	case 'a' <= c && c <= 'f':
		value = c - 'a' + 10
	case 'A' <= c && c <= 'F':
		value = c - 'A' + 10
	default:
		return false
	}
	d.state = sizeNext
	d.left = d.left<<4 | int64(value)
	d.digits++
	return d.digits <= digitLimit
}

// sizeEnd takes the byte that ends the size.
func (d *decoder) sizeEnd(c byte) bool {
	switch c {
	case ';':
		d.overhead++
		d.state = extension
	case '\r':
		d.state = sizeLF
	default:
		return false
	}
	return true
}

// trailer takes a byte of the trailer section, whose fields are never merged into the head: RFC 9110, section 6.5.1, allows that
// only for those that are known to be safe.
func (d *decoder) trailer(c byte) bool {
	switch {
	case d.state == trailerStart && c == '\r':
		d.state = endLF
		return true
	case d.state == trailerName && c == ':':
		d.state = trailerValue
		return true
	case d.state == trailerStart || d.state == trailerName:
		d.state = trailerName
		return httpfield.ValidName([]byte{c})
	case d.state == trailerValue:
		return d.text(c, trailerLF)
	default:
		return d.expect(c, '\n', trailerStart)
	}
}

// text takes a byte of a text that ends with CR.
func (d *decoder) text(c byte, next chunkState) bool {
	if c == '\r' {
		d.state = next
		return true
	}
	return httpfield.ValidValue([]byte{c})
}

// expect takes the byte that has to be there.
func (d *decoder) expect(c, want byte, next chunkState) bool {
	d.state = next
	return c == want
}
