package http1

import (
	"bytes"
	"fmt"
	"strconv"

	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// maxLines is how many field lines a head may have, ten times what real applications send.
const maxLines = 256

// head is a parsed head. Its slices lie in the buffer it was parsed from.
type head struct {
	minor  byte // of HTTP/1.x
	status int
	fields []upstream.Field // in the peer's order, framing fields included

	length    int64 // of the Content-Length field, -1 without one
	chunked   bool  // Transfer-Encoding is chunked
	named     bool  // there is a Connection
	close     bool  // Connection has close
	keepAlive bool  // Connection has keep-alive
}

// statusPrefix begins every response.
const statusPrefix = "HTTP/1."

// beginsWell says whether b, a head or its beginning, can still become a response: a peer that speaks something else is
// found out at its first bytes, not at a timeout.
func beginsWell(b []byte) bool {
	n := min(len(b), len(statusPrefix))
	return string(b[:n]) == statusPrefix[:n]
}

// headEnd returns the length of the head in b, its blank line included, or -1. b has been searched before up to from.
func headEnd(b []byte, from int) int {
	from = max(from-2, 0) // a line end may have been the last thing there
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		rest := b[from:]
		if len(rest) > 0 && rest[0] == '\n' {
			return from + 1
		}
		if len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n' {
			return from + 2
		}
	}
}

// cutLine cuts the first line off b, which has one; the line is without its end.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	line, rest = b[:i], b[i+1:]
	if i > 0 && line[i-1] == '\r' {
		line = line[:i-1]
	}
	return line, rest
}

// parse parses a whole head, blank line included; reading in place, it keeps slices of b.
func (h *head) parse(b []byte) error {
	*h = head{fields: h.fields[:0], length: -1}
	line, b := cutLine(b)
	if !h.parseStatus(line) {
		return noHeader()
	}
	for {
		line, b = cutLine(b)
		if len(line) == 0 {
			return h.frame()
		}
		if len(h.fields) == maxLines {
			return upstream.TooBigHeader()
		}
		name, value, ok := cutField(line)
		if !ok {
			return invalidHeader(line)
		}
		h.fields = append(h.fields, upstream.Field{Name: name, Value: value})
	}
}

// parseStatus parses "HTTP/1.1 200 OK": RFC 9112, section 4. The reason may be missing together with its space.
func (h *head) parseStatus(line []byte) bool {
	const code = len(statusPrefix) + 2
	if len(line) < code+3 || !beginsWell(line) || line[code-1] != ' ' || !httpfield.ValidValue(line) {
		return false
	}
	if len(line) > code+3 && line[code+3] != ' ' {
		return false
	}
	h.minor = line[code-2]
	if !digit(h.minor) || !digit(line[code]) || !digit(line[code+1]) || !digit(line[code+2]) {
		return false
	}
	h.status = int(line[code]-'0')*100 + int(line[code+1]-'0')*10 + int(line[code+2]-'0')
	return true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// cutField splits a field line: RFC 9112, section 5. A folded line has no name, so it is refused as any other.
func cutField(line []byte) (name, value []byte, ok bool) {
	if name, value, ok = httpfield.CutName(line); !ok {
		return nil, nil, false
	}
	value = httpfield.Trim(value)
	return name, value, httpfield.ValidValue(value)
}

// frame notes what the fields say about the body and the connection.
func (h *head) frame() error {
	for i := range h.fields {
		f := &h.fields[i]
		var err error
		switch len(f.Name) {
		case len("connection"):
			if httpfield.Is(f.Name, "connection") {
				h.named = true
				h.close = h.close || httpfield.Named(f.Value, []byte("close"))
				h.keepAlive = h.keepAlive || httpfield.Named(f.Value, []byte("keep-alive"))
			}
		case len("content-length"):
			if httpfield.Is(f.Name, "content-length") {
				err = h.setLength(f)
			}
		case len("transfer-encoding"):
			if httpfield.Is(f.Name, "transfer-encoding") {
				err = h.setEncoding(f)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// value returns the value of the first field with the name, nil without one.
func (h *head) value(name string) []byte {
	for i := range h.fields {
		if httpfield.Is(h.fields[i].Name, name) {
			return h.fields[i].Value
		}
	}
	return nil
}

// setLength takes over a Content-Length: one, of digits only. RFC 9112, section 6.3, rule 5.
func (h *head) setLength(f *upstream.Field) error {
	if h.length >= 0 {
		return duplicate(f)
	}
	if len(f.Value) == 0 || len(f.Value) > 18 { // 18 digits always fit
		return invalidLength(f)
	}
	h.length = 0
	for _, c := range f.Value {
		if !digit(c) {
			return invalidLength(f)
		}
		h.length = h.length*10 + int64(c-'0')
	}
	return nil
}

// setEncoding takes over a Transfer-Encoding: only chunked, and that once. RFC 9112, section 6.1.
func (h *head) setEncoding(f *upstream.Field) error {
	if h.chunked {
		return duplicate(f)
	}
	if !bytes.EqualFold(f.Value, []byte("chunked")) {
		return invalid(`upstream sent unknown "Transfer-Encoding": ` + strconv.Quote(clip(f.Value)))
	}
	h.chunked = true
	return nil
}

// clear lets go of the buffer that the head was parsed from.
func (h *head) clear() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

func invalid(text string) error {
	return upstream.NewError(upstream.ReadingHead, upstream.Invalid, text)
}

func noHeader() error { return invalid("upstream sent no valid HTTP/1.0 header") }

// invalidHeader quotes the line up to the byte that nginx would have stopped at, and that byte in hexadecimal.
func invalidHeader(line []byte) error {
	bad, inValue := 0, false
	for bad < len(line) {
		part := line[bad : bad+1]
		switch {
		case inValue && !httpfield.ValidValue(part), !inValue && !httpfield.ValidName(part) && (part[0] != ':' || bad == 0):
			return invalid(fmt.Sprintf("upstream sent invalid header: \"%s\\x%02x...\"", clip(line[:bad]), part[0]))
		case part[0] == ':':
			inValue = true
		}
		bad++
	}
	return invalid("upstream sent invalid header: \"" + clip(line) + "\\x0a...\"") // it ended without a colon
}

func invalidLength(f *upstream.Field) error {
	return invalid(`upstream sent invalid "Content-Length" header: "` + fieldText(f) + `"`)
}

func duplicate(f *upstream.Field) error {
	return invalid(`upstream sent duplicate header line: "` + fieldText(f) + `"`)
}

func fieldText(f *upstream.Field) string { return string(f.Name) + ": " + clip(f.Value) }

// clip keeps an error text to the length that fits a log line.
func clip(b []byte) string { return string(b[:min(len(b), 200)]) }
