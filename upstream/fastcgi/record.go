package fastcgi

import (
	"encoding/binary"
	"strconv"

	"spillway/upstream"
)

// What goes over the wire: section 8.
const (
	version       = 1
	headerSize    = 8
	requestID     = 1 // one request at a time on a connection
	roleResponder = 1
	flagKeepConn  = 1

	typeBeginRequest = 1
	typeEndRequest   = 3
	typeParams       = 4
	typeStdin        = 5
	typeStdout       = 6
	typeStderr       = 7
	typeValuesResult = 10
	typeUnknownType  = 11
)

// stderrLimit is how much of one record of standard error goes to the log.
const stderrLimit = 4 << 10

// records takes the records out of the bytes that a peer sends; they may be cut anywhere.
type records struct {
	header  [headerSize]byte
	have    int    // bytes of header that have arrived; headerSize within a record
	content int    // bytes of the record's content still to come, at most 65,535
	padding int    // bytes of its padding still to come, at most 255
	end     []byte // the content of END_REQUEST (section 5.5), its first 8 bytes
	stderr  []byte // the content of the STDERR record, capped

	stdoutClosed bool // the empty STDOUT record has come
	ended        bool // END_REQUEST has come, padding included
	extra        bool // there were bytes behind END_REQUEST
}

// reset prepares for another response.
func (d *records) reset() { *d = records{end: d.end[:0], stderr: d.stderr[:0]} }

// decode finds the standard output in p: n bytes, from a place on. What comes first stays where it is, and what comes later is moved
// behind it. Lines of standard error go to log. It stops at the end of the request, or with an error at what the peer should not
// have sent.
func (d *records) decode(p []byte, log func([]byte)) (from, n int, err error) {
	at := 0
	for at < len(p) && !d.ended {
		rest := p[at:]
		var k int
		switch {
		case d.have < headerSize:
			k = copy(d.header[d.have:], rest)
			if d.have += k; d.have == headerSize {
				err = d.open()
			}
		case d.content > 0:
			k = min(d.content, len(rest))
			switch {
			case d.header[1] != typeStdout:
				d.keep(rest[:k])
			case n == 0:
				from, n = at, k
			default:
				n += copy(p[from+n:], rest[:k])
			}
			d.content -= k
		default:
			k = min(d.padding, len(rest))
			d.padding -= k
		}
		if err != nil {
			return from, n, err
		}
		at += k
		if d.have == headerSize && d.content == 0 && d.padding == 0 {
			if err := d.close(log); err != nil {
				return from, n, err
			}
		}
	}
	d.extra = at < len(p)
	return from, n, nil
}

// open looks at the header of a record (section 3.3), in nginx's order and words.
func (d *records) open() error {
	h := &d.header
	d.content, d.padding = int(binary.BigEndian.Uint16(h[4:])), int(h[6])
	recordType := h[1]
	switch {
	case h[0] != version:
		return sent("unsupported FastCGI protocol version: ", h[0])
	case h[2] == 0 && h[3] == 0 && (recordType == typeValuesResult || recordType == typeUnknownType):
		return nil // management records (section 4) are of no request; nobody asked, so they mean nothing
	case recordType != typeStdout && recordType != typeStderr && recordType != typeEndRequest:
		return sent("invalid FastCGI record type: ", recordType)
	case h[2] != 0:
		return sent("unexpected FastCGI request id high byte: ", h[2])
	case h[3] != requestID:
		return sent("unexpected FastCGI request id low byte: ", h[3])
	case recordType == typeStdout && d.stdoutClosed && d.content > 0:
		return sent("unexpected FastCGI record: ", recordType)
	}
	return nil
}

// keep keeps what a record contains that is no standard output.
func (d *records) keep(content []byte) {
	switch d.header[1] {
	case typeStderr:
		d.stderr = append(d.stderr, content[:min(len(content), stderrLimit-len(d.stderr))]...)
	case typeEndRequest:
		d.end = append(d.end, content[:min(len(content), 8-len(d.end))]...)
	}
}

// close ends a record.
func (d *records) close(log func([]byte)) error {
	d.have = 0
	switch d.header[1] {
	case typeStdout:
		d.stdoutClosed = d.stdoutClosed || binary.BigEndian.Uint16(d.header[4:]) == 0
	case typeStderr:
		d.flush(log)
	case typeEndRequest:
		if len(d.end) < 8 {
			return sent("unexpected FastCGI record: ", typeEndRequest)
		}
		d.ended = true
	}
	return nil
}

// flush logs what was written to standard error, without the dots, blanks and line ends that nginx cuts off.
func (d *records) flush(log func([]byte)) {
	line := d.stderr
	for len(line) > 0 {
		if c := line[len(line)-1]; c != '\n' && c != '\r' && c != '.' && c != ' ' {
			break
		}
		line = line[:len(line)-1]
	}
	if len(line) > 0 && log != nil {
		log(line)
	}
	d.stderr = d.stderr[:0]
}

// applicationStatus is the application's exit code, valid once ended (section 5.5).
func (d *records) applicationStatus() uint32 { return binary.BigEndian.Uint32(d.end) }

// protocolStatus is 0 for a request that was served, valid once ended (section 5.5).
func (d *records) protocolStatus() byte { return d.end[4] }

// refusal is the meaning of a protocol status other than 0: section 5.5.
func refusal(protocolStatus byte) string {
	switch protocolStatus {
	case 1:
		return "cannot multiplex connections"
	case 2:
		return "overloaded"
	case 3:
		return "unknown role"
	default:
		return "protocol status " + strconv.Itoa(int(protocolStatus))
	}
}

// sent is the error for a record that the peer should not have sent.
func sent(what string, value byte) error {
	return upstream.NewError(upstream.ReadingHead, upstream.Invalid, "upstream sent "+what+strconv.Itoa(int(value)))
}
