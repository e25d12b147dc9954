package cgi

import (
	"bytes"
	"slices"
	"strconv"

	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// Head parses the head of a CGI answer (RFC 3875, section 6) in place, as the bytes arrive: fields up to an empty line,
// each line ended by CRLF or LF. A status line of HTTP before them is taken too, because uWSGI sends one. The zero value is
// ready for an answer.
type Head struct {
	next     int   // where the first line begins that has not been checked
	fields   int   // where the fields begin: behind the status line
	status   int   // of the status line or the Status field; 0 without one
	location bool  // there is a Location field
	declared bool  // there is a Content-Length field
	length   int64 // its value

	passed []upstream.Field // all but Status; they lie in the answer
}

// keptFields is for how many fields memory is kept, more than applications send.
const keptFields = 64

// Reset prepares h for another answer.
func (h *Head) Reset() {
	passed := h.passed[:0]
	if cap(passed) > keptFields {
		passed = nil
	}
	*h = Head{passed: passed}
}

// Parse goes on with data, which holds all bytes of the answer since its start, at the same place: those of the calls before, then
// new ones. It returns the length of the head with its empty line, or 0 as long as that line is missing. With it the status, the
// fields and Length of resp are set. The error is an *upstream.Error of the kind Invalid, in nginx's words.
func (h *Head) Parse(resp *upstream.Response, data []byte) (int, error) {
	for {
		rest := data[h.next:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return 0, h.checkStart(rest)
		}
		line := withoutCR(rest[:end])
		if len(line) == 0 {
			return h.finish(resp, data, h.next+end+1)
		}
		if err := h.check(resp, line); err != nil {
			return 0, err
		}
		h.next += end + 1
		if isStatusLine(line) {
			h.fields = h.next
		}
	}
}

// checkStart looks at a line that is not complete: an answer without a head fails on its first bytes, not when the buffer
// is full.
func (h *Head) checkStart(line []byte) error {
	if h.next == 0 && isStatusLine(line) {
		return nil
	}
	name, _, _ := bytes.Cut(line, []byte{':'})
	name = bytes.TrimSuffix(name, []byte{'\r'})
	if len(name) > 0 && !httpfield.ValidName(name) {
		return invalidHeader(line, firstBad(name, httpfield.ValidName))
	}
	return nil
}

// isStatusLine tells a status line from a field: a slash cannot be in a field's name.
func isStatusLine(line []byte) bool { return bytes.HasPrefix(line, []byte("HTTP/")) }

// check checks a line and notes what decides about the response as a whole.
func (h *Head) check(resp *upstream.Response, line []byte) error {
	if h.next == 0 && isStatusLine(line) {
		_, status, _ := bytes.Cut(line, []byte{' '})
		return h.setStatus(status)
	}
	name, value, err := splitField(line)
	if err != nil {
		return err
	}
	if isStatus(name) {
		if h.status == 0 { // nginx ignores a second one
			return h.setStatus(value)
		}
		return nil
	}
	h.passed = append(h.passed, upstream.Field{Name: name, Value: value})
	switch {
	case httpfield.Is(name, "location"):
		h.location = true
	case httpfield.Is(name, "connection"):
		resp.NameConnection(value)
	case httpfield.Is(name, "content-length"):
		return h.setLength(name, value)
	}
	return nil
}

func isStatus(name []byte) bool { return httpfield.Is(name, "status") }

// splitField splits a line into a field's name and its value without the blanks around it. A name must be followed by the
// colon at once, and a line that continues the one before (RFC 9112, section 5.2) begins with no name at all.
func splitField(line []byte) (name, value []byte, err error) {
	name, value, ok := httpfield.CutName(line)
	switch {
	case !ok && httpfield.ValidName(line):
		return nil, nil, invalidHeader(append(slices.Clip(line), '\n'), len(line))
	case !ok:
		return nil, nil, invalidHeader(line, firstBad(line, httpfield.ValidName))
	case !httpfield.ValidValue(value):
		return nil, nil, invalidHeader(line, len(name)+1+firstBad(value, httpfield.ValidValue))
	}
	return name, httpfield.Trim(value), nil
}

// setStatus takes "404 Not Found" over; the text is not kept.
func (h *Head) setStatus(text []byte) error {
	code, _, _ := bytes.Cut(text, []byte{' '})
	if len(code) == 3 {
		if n, ok := number(code); ok && n >= 200 && n <= 599 {
			h.status = int(n)
			return nil
		}
	}
	return invalid("upstream sent invalid status \"" + escape(text) + "\"")
}

// setLength takes a Content-Length over. RFC 9112, section 6.3: a second one makes the framing doubtful.
func (h *Head) setLength(name, value []byte) error {
	if h.declared {
		return invalid("upstream sent duplicate header line: \"" + string(name) + ": " + escape(value) +
			"\", previous value: \"Content-Length: " + strconv.FormatInt(h.length, 10) + "\"")
	}
	n, ok := number(value)
	if !ok {
		return invalid("upstream sent invalid \"Content-Length\" header: \"" + string(name) + ": " + escape(value) + "\"")
	}
	h.declared, h.length = true, n
	return nil
}

// number reads decimal digits and nothing else; 18 of them always fit.
func number(digits []byte) (n int64, ok bool) {
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// finish fills resp, now that the fields are known to be good and Connection's value is known. end is where the body
// begins.
func (h *Head) finish(resp *upstream.Response, data []byte, end int) (int, error) {
	if h.next == h.fields && h.status == 0 { // RFC 3875, section 6.2: at least one field
		return 0, invalidHeader(data, 0)
	}
	if err := resp.SetStatus(h.code()); err != nil {
		return 0, err
	}
	resp.Length = -1
	if h.declared {
		resp.Length = h.length
	}
	for i := range h.passed {
		resp.AddField(h.passed[i].Name, h.passed[i].Value)
	}
	clear(h.passed) // they are borrowed
	h.passed = h.passed[:0]
	return end, nil
}

// withoutCR returns a line, which was cut before its LF, without the CR before that.
func withoutCR(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// code returns the status of the answer: RFC 3875, section 6.2.3, for one with Location alone.
func (h *Head) code() int {
	switch {
	case h.status != 0:
		return h.status
	case h.location:
		return 302
	default:
		return 200
	}
}

func invalid(text string) error {
	return upstream.NewError(upstream.ReadingHead, upstream.Invalid, text)
}

// shown is how much of a bad line an error shows.
const shown = 200

// invalidHeader is nginx's error for a line: what was good, then the bad byte at the given place.
func invalidHeader(line []byte, bad int) error {
	return invalid("upstream sent invalid header: \"" + escape(line[:bad]) + hex(line[bad]) + "...\"")
}

// firstBad returns the place of the first byte that valid refuses.
func firstBad(text []byte, valid func([]byte) bool) int {
	for i := range text {
		if !valid(text[i : i+1]) {
			return i
		}
	}
	return len(text)
}

// escape makes the beginning of what a peer sent fit for a line of the log.
func escape(text []byte) string {
	var line []byte
	for _, c := range text[:min(len(text), shown)] {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			line = append(line, hex(c)...)
		} else {
			line = append(line, c)
		}
	}
	return string(line)
}

// hex is a byte as nginx writes it in its log.
func hex(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{'\\', 'x', digits[c>>4], digits[c&15]})
}
