package http1

import (
	"bytes"
	"slices"
	"strconv"

	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// headSize is what a connection has for the heads of its requests; most are shorter. Memory that grew beyond headLimit, which has
// room for a head and a small body, is not kept.
const (
	headSize  = 1 << 10
	headLimit = 16 << 10
)

// smallBody is the largest body that is copied behind its head; copying that much costs less than a second piece in the
// system call.
const smallBody = 8 << 10

// Send writes the request: the head, with the body if it is in memory, then the rest of the body in pieces. When the peer
// answers before it has got the whole body, Send stops without an error, and Receive decides about the rest.
func (p *Protocol) Send(c *upstream.Conn, req *upstream.Request) error {
	c.Phase = upstream.Sending
	s := stateOf(c)
	upstream.Uses(c, s)
	s.sender.start(req)
	if s.memory == nil {
		s.memory = make([]byte, 0, headSize)
	}
	head := s.writer.append(s.memory[:0], req, p)
	if len(s.sender.bytes) <= smallBody {
		head = append(head, s.sender.bytes...)
		s.sender.bytes = nil
	}
	if s.memory = head[:0]; cap(head) > headLimit {
		s.memory = nil
	}
	err := s.sender.sendFirst(c, head)
	if err == nil {
		err = p.sendBody(c, &s.sender)
	}
	return err
}

// headWriter writes a request's head.
type headWriter struct {
	b    []byte
	req  *upstream.Request
	each func(name, value []byte) bool // the method field, bound once: it is the body of a loop over the client's fields
}

// append appends the head of the request to b, its blank line included.
func (w *headWriter) append(b []byte, req *upstream.Request, p *Protocol) []byte {
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = appendTarget(b, req.Target)
	if p.old {
		b = append(b, " HTTP/1.0\r\nHost: "...)
	} else {
		b = append(b, " HTTP/1.1\r\nHost: "...)
	}
	b = appendValue(b, host(req))
	b = append(b, "\r\n"...)
	if req.Header != nil {
		w.b, w.req = b, req
		req.Each(w.each)
		b, w.b, w.req = w.b, nil, nil
	}
	for i := range req.Set {
		if f := &req.Set[i]; len(f.Value) > 0 && passes(f.Name) {
			b = appendField(b, f.Name, f.Value)
		}
	}
	b = p.appendConnection(b, req)
	b = appendFraming(b, req)
	return append(b, "\r\n"...)
}

// appendConnection appends the fields that are for this connection only, and the one that names them.
func (p *Protocol) appendConnection(b []byte, req *upstream.Request) []byte {
	switch {
	case p.old:
		return append(b, "Connection: close\r\n"...)
	case len(req.Upgrade) > 0:
		b = append(b, "Connection: upgrade\r\n"...)
		return appendField(b, upgradeName, req.Upgrade)
	case req.Trailers && p.keepAlive:
		return append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	case req.Trailers:
		return append(b, "Connection: close, TE\r\nTE: trailers\r\n"...)
	case !p.keepAlive:
		return append(b, "Connection: close\r\n"...)
	default:
		return b
	}
}

var upgradeName = []byte("Upgrade")

// field takes one of the client's fields over.
func (w *headWriter) field(name, value []byte) bool {
	if passes(name) && !replaced(w.req.Set, name) {
		w.b = appendField(w.b, name, value)
	}
	return true
}

// appendFraming appends the field that says how long the body is: RFC 9112, section 6. A request without a body carries
// none, unless its method leads the peer to expect one (RFC 9110, section 8.6).
func appendFraming(b []byte, req *upstream.Request) []byte {
	length := bodyLength(req)
	switch {
	case length < 0:
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	case length == 0 && !expectsBody(req.Method):
		return b
	default:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		return append(b, "\r\n"...)
	}
}

// bodyLength is the length of the body in bytes, -1 when it is not known.
func bodyLength(req *upstream.Request) int64 {
	if len(req.Bytes) > 0 {
		return int64(len(req.Bytes))
	}
	return req.BodyLength
}

func expectsBody(method []byte) bool {
	switch string(method) {
	case "POST", "PUT", "PATCH":
		return true
	default:
		return false
	}
}

// host is the value of the Host field, which HTTP/1.1 always has: the configured one, the client's, or the server's name
// for a client that named none (nginx's $host).
func host(req *upstream.Request) []byte {
	for i := range req.Set {
		if isHost(req.Set[i].Name) && len(req.Set[i].Value) > 0 {
			return req.Set[i].Value
		}
	}
	if req.Header != nil {
		if h := req.Header.Host(); len(h) > 0 {
			return h
		}
	}
	return []byte(req.ServerName)
}

// passes says whether a field may be written among the others: Host, the framing and the Connection field are written
// apart, and an expectation was met when the body was read (RFC 9110, section 10.1.1).
func passes(name []byte) bool {
	switch len(name) {
	case len("host"):
		if isHost(name) {
			return false
		}
	case len("expect"):
		if httpfield.Is(name, "expect") {
			return false
		}
	}
	return !upstream.PerConnection(name)
}

func isHost(name []byte) bool { return httpfield.Is(name, "host") }

func replaced(set []upstream.Field, name []byte) bool {
	for i := range set {
		if len(set[i].Name) == len(name) && bytes.EqualFold(set[i].Name, name) {
			return true
		}
	}
	return false
}

func appendField(b, name, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendValue(b, value)
	return append(b, "\r\n"...)
}

// appendValue appends a field's value. Control bytes, which a variable of the configuration can bring in, become spaces, so
// that no value can end its line.
func appendValue(b, value []byte) []byte { return httpfield.Clean(append(b, value...), len(b)) }

// appendTarget appends the request-target; bytes that would end it are percent-encoded.
func appendTarget(b, target []byte) []byte {
	if slices.ContainsFunc(target, endsTarget) {
		return appendEscaped(b, target)
	}
	return append(b, target...)
}

func endsTarget(c byte) bool { return c <= ' ' || c == 0x7f }

func appendEscaped(b, target []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range target {
		if endsTarget(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
			continue
		}
		b = append(b, c)
	}
	return b
}
