package upstreamtest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// FastCGI is FastCGI 1.0, a responder that serves one request at a time on a connection.
type FastCGI struct{}

// The record types and the one flag: FastCGI 1.0, section 8.
const (
	typeBegin  = 1
	typeEnd    = 3
	typeParams = 4
	typeStdin  = 5
	typeStdout = 6
	typeStderr = 7

	flagKeepConn = 1
)

// Name returns "fastcgi".
func (FastCGI) Name() string { return "fastcgi" }

// OneShot returns false: a connection may be kept, and the end of a body is marked.
func (FastCGI) OneShot() bool { return false }

func (FastCGI) readHead(r *bufio.Reader) (*Request, error) {
	typ, id, content, err := readRecord(r)
	if err != nil {
		return nil, err
	}
	if typ != typeBegin || len(content) != 8 || id == 0 || binary.BigEndian.Uint16(content) != 1 {
		return nil, fmt.Errorf("record %d, want the beginning of a request to a responder", typ)
	}
	params, err := readStream(r, typeParams, id)
	if err != nil {
		return nil, err
	}
	var variables []Field
	for len(params) > 0 {
		var v Field
		if v.Name, v.Value, params, err = cutPair(params); err != nil {
			return nil, err
		}
		variables = append(variables, v)
	}
	req, err := newCGIRequest(variables)
	if err != nil {
		return nil, err
	}
	req.id, req.KeepAlive = id, content[2]&flagKeepConn != 0
	return req, nil
}

func (FastCGI) readBody(r *bufio.Reader, req *Request) ([]byte, error) {
	return readStream(r, typeStdin, req.id)
}

// readStream reads records of a type to the empty one that ends them.
func readStream(r *bufio.Reader, want byte, wantID uint16) ([]byte, error) {
	var all []byte
	for {
		typ, id, content, err := readRecord(r)
		if err != nil {
			return nil, err
		}
		if typ != want || id != wantID {
			return nil, fmt.Errorf("record %d of request %d, want %d of %d", typ, id, want, wantID)
		}
		if len(content) == 0 {
			return all, nil
		}
		all = append(all, content...)
	}
}

func readRecord(r *bufio.Reader) (typ byte, id uint16, content []byte, err error) {
	var header [8]byte
	if _, err = io.ReadFull(r, header[:]); err != nil {
		return 0, 0, nil, err
	}
	if header[0] != 1 {
		return 0, 0, nil, fmt.Errorf("FastCGI version %d", header[0])
	}
	content = make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
	if _, err = io.ReadFull(r, content); err != nil {
		return 0, 0, nil, err
	}
	return header[1], binary.BigEndian.Uint16(header[2:]), content[:len(content)-int(header[6])], nil
}

// cutPair cuts a name-value pair off: section 3.4.
func cutPair(b []byte) (name, value string, rest []byte, err error) {
	var sizes [2]int
	for i := range sizes {
		switch {
		case len(b) > 0 && b[0] < 0x80:
			sizes[i], b = int(b[0]), b[1:]
		case len(b) > 3:
			sizes[i], b = int(binary.BigEndian.Uint32(b)&0x7fffffff), b[4:]
		default:
			return "", "", nil, io.ErrUnexpectedEOF
		}
	}
	if len(b) < sizes[0]+sizes[1] {
		return "", "", nil, io.ErrUnexpectedEOF
	}
	return string(b[:sizes[0]]), string(b[sizes[0] : sizes[0]+sizes[1]]), b[sizes[0]+sizes[1]:], nil
}

func (FastCGI) head(req *Request, a *Answer, length int) []byte {
	return stream(req, typeStdout, cgiHead("Status:", a, length))
}

func (FastCGI) part(req *Request, a *Answer, data []byte) []byte {
	if bodiless(req, a) {
		return nil
	}
	return stream(req, typeStdout, data)
}

func (FastCGI) end(req *Request, _ *Answer) []byte {
	b := record(nil, req, typeStdout, nil)
	return record(b, req, typeEnd, make([]byte, 8))
}

func (FastCGI) stderr(req *Request, text string) []byte {
	return stream(req, typeStderr, []byte(text))
}

func (FastCGI) garbage() []byte { return []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }

// stream puts data into records of a type.
func stream(req *Request, typ byte, data []byte) []byte {
	var b []byte
	for piece := range slices.Chunk(data, 0xffff) {
		b = record(b, req, typ, piece)
	}
	return b
}

// record appends a record, padded to eight bytes as the specification recommends.
func record(b []byte, req *Request, typ byte, content []byte) []byte {
	padding := -len(content) & 7
	b = append(b, 1, typ)
	b = binary.BigEndian.AppendUint16(b, req.id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(content)))
	b = append(b, byte(padding), 0)
	b = append(b, content...)
	return append(b, make([]byte, padding)...)
}
