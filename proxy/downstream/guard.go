package downstream

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// The limits of a head. reliability figures: nginx answers 414 above 8k and has 4 buffers of 8k, HAProxy takes 101
// fields and 16k.
const (
	maxRequestLine = 8 << 10  // bytes; above it 414
	maxHead        = 16 << 10 // bytes, request line included; above it 431
	maxFields      = 128      // above it 431
	maxBlankLines  = 4        // empty lines before the request line, RFC 9112 section 2.2
)

// head checks the head of one request while it arrives, line by line, each byte once. fasthttp parses it again, more
// leniently; what passes here has one meaning for both.
type head struct {
	length int // of the whole head, 0 until its end was seen

	next   int // where the first line begins that was not checked yet
	method int // length of the method; it begins at 0
	target int // where the request-target begins
	tlen   int // and its length; 0 until the request line was found good
	proto  version
	fields int

	hosts         int
	contentLength int64 // -1 without one
	chunked       bool
	strip         bool // has fields that are not passed on
	expects       bool // has an Expect
	upgrades      bool // has an Upgrade
	trailers      bool // has "TE: trailers", maybe among others
}

// version is the HTTP version of a request.
type version uint8

// The versions that are spoken.
const (
	http10 version = iota
	http11
)

func (v version) text() []byte {
	if v == http10 {
		return []byte("HTTP/1.0")
	}
	return []byte("HTTP/1.1")
}

func (h *head) reset() { *h = head{contentLength: -1} }

// scan checks the lines that have become complete; b is all that has arrived of the head. When the head is complete,
// h.length is set. An error is final.
func (h *head) scan(b []byte) error {
	for h.length == 0 {
		n := bytes.IndexByte(b[h.next:], '\n')
		if n < 0 {
			return h.unfinished(b)
		}
		end := h.next + n // the line is [h.next:end-1], then CR LF
		if n == 0 || b[end-1] != '\r' {
			return badRequest("line that does not end with CR LF")
		}
		line := b[h.next : end-1]
		var err error
		switch {
		case h.next == 0:
			err = h.requestLine(line)
		case len(line) == 0:
			h.length = end + 1
			err = h.complete()
		default:
			err = h.field(line)
		}
		if err != nil {
			return err
		}
		h.next = end + 1
	}
	return nil
}

// unfinished looks at a line whose end has not arrived.
func (h *head) unfinished(b []byte) error {
	if h.next == 0 {
		if len(b) > 0 && !isToken[b[0]] {
			return badRequest("invalid request line") // TLS on a plain port, for one: do not wait for more
		}
		if len(b) > maxRequestLine {
			return refuse(fasthttp.StatusRequestURITooLong, "request line longer than 8 KiB")
		}
	}
	if len(b) >= maxHead {
		return refuse(fasthttp.StatusRequestHeaderFieldsTooLarge, "head longer than 16 KiB")
	}
	return nil
}

// requestLine checks METHOD SP request-target SP HTTP/1.x, RFC 9112 section 3.
func (h *head) requestLine(line []byte) error {
	if len(line) > maxRequestLine {
		return refuse(fasthttp.StatusRequestURITooLong, "request line longer than 8 KiB")
	}
	for h.method < len(line) && isToken[line[h.method]] {
		h.method++
	}
	if h.method == 0 || h.method == len(line) || line[h.method] != ' ' {
		return badRequest("invalid method")
	}
	h.target = h.method + 1
	n := bytes.IndexByte(line[h.target:], ' ')
	if n <= 0 {
		return badRequest("invalid request line")
	}
	for _, c := range line[h.target : h.target+n] {
		if c < ' ' || c == 0x7f || c == '#' {
			return badRequest("control byte or fragment in the request-target")
		}
	}
	h.tlen = n
	switch proto := line[h.target+n+1:]; {
	case string(proto) == "HTTP/1.1":
		h.proto = http11
	case string(proto) == "HTTP/1.0":
		h.proto = http10
	case len(proto) == 8 && string(proto[:5]) == "HTTP/" && isDigit(proto[5]) && proto[6] == '.' && isDigit(proto[7]):
		return refuse(fasthttp.StatusHTTPVersionNotSupported, "HTTP version other than 1.0 and 1.1")
	default:
		return badRequest("invalid HTTP version")
	}
	return nil
}

// field checks one line of the head after the request line, RFC 9112 section 5.
func (h *head) field(line []byte) error {
	if h.fields++; h.fields > maxFields {
		return refuse(fasthttp.StatusRequestHeaderFieldsTooLarge, "more than 128 header fields")
	}
	colon := 0
	odd := false
	for colon < len(line) && isToken[line[colon]] {
		odd = odd || line[colon] == '_' || line[colon] == '.'
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' {
		return badRequest("invalid header field name") // among them: obs-fold, and spaces before the colon
	}
	value := line[colon+1:]
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return badRequest("control byte in a header field")
		}
	}
	name := line[:colon]
	h.strip = h.strip || odd || aboutUs(name) || httpfield.HopByHop(name) && !isUsual(name, value)
	switch len(name) {
	case len("te"):
		h.trailers = h.trailers || httpfield.Is(name, "te") && httpfield.Named(value, []byte("trailers"))
	case len("host"):
		if httpfield.Is(name, "host") {
			h.hosts++
		}
	case len("expect"):
		h.expects = h.expects || httpfield.Is(name, "expect")
	case len("upgrade"):
		h.upgrades = h.upgrades || httpfield.Is(name, "upgrade")
	case len("content-length"):
		if httpfield.Is(name, "content-length") {
			return h.setLength(trim(value))
		}
	case len("transfer-encoding"):
		if httpfield.Is(name, "transfer-encoding") {
			return h.setCoding(trim(value))
		}
	}
	return nil
}

// setLength takes a Content-Length, RFC 9110 section 8.6: digits only, once. 18 digits fit an int64.
func (h *head) setLength(value []byte) error {
	if h.contentLength >= 0 {
		return badRequest("second content-length")
	}
	if len(value) == 0 || len(value) > 18 {
		return badRequest("invalid content-length")
	}
	h.contentLength = 0
	for _, c := range value {
		if !isDigit(c) {
			return badRequest("invalid content-length")
		}
		h.contentLength = 10*h.contentLength + int64(c-'0')
	}
	return nil
}

// setCoding takes a Transfer-Encoding, RFC 9112 section 6.1: chunked, once, on HTTP/1.1.
func (h *head) setCoding(value []byte) error {
	switch {
	case h.chunked:
		return badRequest("second transfer-encoding")
	case h.proto == http10:
		return badRequest("transfer-encoding in an HTTP/1.0 request")
	case len(value) == 0:
		return badRequest("empty transfer-encoding")
	case !httpfield.Is(value, "chunked"):
		return refuse(fasthttp.StatusNotImplemented, "transfer-encoding other than chunked")
	}
	h.chunked = true
	return nil
}

// complete checks what can be said only about the whole head.
func (h *head) complete() error {
	switch {
	case h.chunked && h.contentLength >= 0:
		return badRequest("both content-length and transfer-encoding")
	case h.hosts > 1:
		return badRequest("second host")
	case h.hosts == 0 && h.proto == http11:
		return badRequest("no host")
	}
	return nil
}

// isUsual says whether a field is the Connection that most clients send. It names no field; the protocols leave it out.
func isUsual(name, value []byte) bool {
	value = trim(value)
	return len(name) == len("connection") && (httpfield.Is(value, "keep-alive") || httpfield.Is(value, "close"))
}

// aboutUs says whether a field speaks between a front end and its applications, so that nothing in it may come
// from a client. Names with '_' or '.' are another case: they collide with other names when they become CGI variables.
func aboutUs(name []byte) bool {
	switch name[0] | 0x20 {
	case 'x':
		return hasPrefixFold(name, "x-accel-") || hasPrefixFold(name, "x-sendfile") || hasPrefixFold(name, "x-spillway-")
	case 's':
		return len(name) == len("status") && httpfield.Is(name, "status")
	default:
		return false
	}
}

// private says whether a field of a request is removed before anybody sees it.
func private(name []byte) bool {
	return bytes.IndexByte(name, '_') >= 0 || bytes.IndexByte(name, '.') >= 0 || aboutUs(name)
}

// errHeadTimeout is the error of a head that did not come in time.
var errHeadTimeout = refuse(fasthttp.StatusRequestTimeout, "head not complete in time")

func badRequest(text string) error { return refuse(fasthttp.StatusBadRequest, text) }

// refuse is the error that answers a request with a status and closes the connection.
func refuse(code int, text string) error {
	return &proxy.StatusError{Code: code, Err: errors.New(text)}
}

// isToken has the bytes of a token, RFC 9110 section 5.6.2.
var isToken = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' ||
			c < 0x80 && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
	}
	return table
}()

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// trim removes the optional white space around a field's value.
func trim(value []byte) []byte { return bytes.Trim(value, " \t") }

func hasPrefixFold(b []byte, lower string) bool {
	if len(b) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
