package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy/httpfield"
)

// variable appends the value of one of nginx's variables. When the exchange has none, which nginx calls "not found" and
// logs as "-", it returns dst and false; an empty value is a value.
type variable func(dst []byte, ex *Exchange) ([]byte, bool)

// variables returns all variables of a fixed name, with nginx's meaning (http://nginx.org/en/docs/varindex.html). Those of
// spillway alone are upstream, upstream_cause, upstream_queue_time, upstream_spilled and why.
func variables() map[string]variable {
	pid := strconv.Itoa(os.Getpid())
	hostname, _ := os.Hostname() // "" logs as "-"
	hostname = strings.ToLower(hostname)

	return map[string]variable{
		// The connection.
		"remote_addr":         text(func(ex *Exchange) string { return ex.RemoteAddr }),
		"remote_port":         text(func(ex *Exchange) string { return ex.RemotePort }),
		"server_addr":         text(func(ex *Exchange) string { return ex.ServerAddr }),
		"server_port":         text(func(ex *Exchange) string { return ex.ServerPort }),
		"server_name":         text((*Exchange).ServerName),
		"scheme":              text(func(ex *Exchange) string { return ex.Scheme }),
		"https":               https,
		"connection":          number(func(ex *Exchange) int64 { return int64(ex.Conn) }),
		"connection_requests": number(func(ex *Exchange) int64 { return int64(ex.ConnServed) }),
		"ssl_protocol":        secured(sslProtocol),
		"ssl_cipher":          secured(sslCipher),
		"ssl_server_name":     secured(func(state *tls.ConnectionState) string { return state.ServerName }),
		"ssl_session_reused":  secured(sslSessionReused),
		"hostname":            text(func(*Exchange) string { return hostname }),
		"pid":                 text(func(*Exchange) string { return pid }),

		// The request.
		"request":                   request,
		"request_method":            slice(func(ex *Exchange) []byte { return ex.Method }),
		"request_uri":               slice(func(ex *Exchange) []byte { return ex.Target }),
		"uri":                       slice(func(ex *Exchange) []byte { return ex.Path }),
		"document_uri":              slice(func(ex *Exchange) []byte { return ex.Path }),
		"args":                      slice(func(ex *Exchange) []byte { return ex.Query }),
		"query_string":              slice(func(ex *Exchange) []byte { return ex.Query }),
		"is_args":                   isArgs,
		"host":                      host,
		"server_protocol":           slice(func(ex *Exchange) []byte { return ex.Proto }),
		"content_type":              requestField("content_type"),
		"content_length":            requestField("content_length"),
		"remote_user":               remoteUser,
		"request_id":                text((*Exchange).RequestID),
		"request_length":            number(func(ex *Exchange) int64 { return int64(ex.HeadBytes) + ex.RequestBytes }),
		"proxy_add_x_forwarded_for": forwardedFor,

		// The response.
		"status":          status,
		"bytes_sent":      number(func(ex *Exchange) int64 { return ex.BytesSent }),
		"body_bytes_sent": number(func(ex *Exchange) int64 { return ex.BodyBytesSent }),
		"request_time":    requestTime,
		"msec":            msec,
		"time_local":      (&clock{layout: "02/Jan/2006:15:04:05 -0700"}).append,
		"time_iso8601":    (&clock{layout: "2006-01-02T15:04:05-07:00"}).append,
		"why":             text((*Exchange).Why),

		// The upstream; with several attempts, one value for each.
		"upstream":                 text(func(ex *Exchange) string { return ex.Upstream }),
		"upstream_cause":           text(func(ex *Exchange) string { return string(ex.Cause) }),
		"upstream_queue_time":      queueTime,
		"upstream_spilled":         number(func(ex *Exchange) int64 { return ex.Spilled }),
		"upstream_addr":            attempts(func(dst []byte, a *Attempt) []byte { return append(dst, a.Peer...) }),
		"upstream_status":          attempts(attemptStatus),
		"upstream_connect_time":    attempts(func(dst []byte, a *Attempt) []byte { return appendTime(dst, a.Connect) }),
		"upstream_header_time":     attempts(func(dst []byte, a *Attempt) []byte { return appendTime(dst, a.Head) }),
		"upstream_response_time":   attempts(func(dst []byte, a *Attempt) []byte { return appendTime(dst, a.Response) }),
		"upstream_bytes_received":  attempts(func(dst []byte, a *Attempt) []byte { return strconv.AppendInt(dst, a.Received, 10) }),
		"upstream_response_length": attempts(func(dst []byte, a *Attempt) []byte { return strconv.AppendInt(dst, a.ReceivedBody, 10) }),
	}
}

// isPlain says whether a variable has digits only, and what numbers and times are written with: a few bytes that mean the same
// wherever they stand.
func isPlain(name string) bool {
	switch name {
	case "connection", "connection_requests", "pid", "request_length", "status", "bytes_sent", "body_bytes_sent", "request_time",
		"msec", "time_local", "time_iso8601", "upstream_queue_time", "upstream_spilled":
		return true
	default:
		return false
	}
}

// namedVariable returns the variable of one of nginx's open families, such as http_NAME; nil if it is none of them.
func namedVariable(name string) variable {
	prefix, rest, found := strings.Cut(name, "_")
	if field, isSent := strings.CutPrefix(name, "sent_http_"); isSent {
		prefix, rest = "sent_http", field
	}
	if !found || rest == "" {
		return nil
	}
	switch prefix {
	case "http":
		return requestField(rest)
	case "sent_http":
		return responseField(rest)
	case "arg":
		return argument(rest)
	case "cookie":
		return cookie(rest)
	default:
		return nil
	}
}

// text is a variable that has no value when it is empty; so is slice.
func text(value func(*Exchange) string) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		v := value(ex)
		return append(dst, v...), v != ""
	}
}

func slice(value func(*Exchange) []byte) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		v := value(ex)
		return append(dst, v...), len(v) > 0
	}
}

// number is a variable that always has a value.
func number(value func(*Exchange) int64) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		return strconv.AppendInt(dst, value(ex), 10), true
	}
}

// --- connection and request ---

func https(dst []byte, ex *Exchange) ([]byte, bool) {
	if ex.Scheme == "https" {
		dst = append(dst, "on"...)
	}
	return dst, true
}

// request is the request line as the client sent it.
func request(dst []byte, ex *Exchange) ([]byte, bool) {
	if len(ex.Method) == 0 {
		return dst, false
	}
	dst = append(append(dst, ex.AskedMethod()...), ' ')
	dst = append(append(dst, ex.Target...), ' ')
	return append(dst, ex.Proto...), true
}

func isArgs(dst []byte, ex *Exchange) ([]byte, bool) {
	if len(ex.Query) > 0 {
		dst = append(dst, '?')
	}
	return dst, true
}

// host is the name that the client asked for or, if it named none, the server's.
func host(dst []byte, ex *Exchange) ([]byte, bool) {
	if len(ex.Host) > 0 {
		return append(dst, ex.Host...), true
	}
	name := ex.ServerName()
	return append(dst, name...), name != ""
}

// requestField is http_NAME: the name in lower case with underscores. Lines of the same name are joined as in RFC 9110,
// 5.3, those of Cookie as in RFC 9113, 8.2.3.
func requestField(name string) variable {
	separator := ", "
	if name == "cookie" {
		separator = "; "
	}
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "upgrade": // removed from Request with all fields of the connection
		return slice(func(ex *Exchange) []byte { return ex.Upgrade })
	case "host": // there is one, and peers are told in most requests
		return slice(hostField)
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		if ex.Request == nil {
			return dst, false
		}
		return appendJoined(dst, peekAll(ex.Request, name), separator)
	}
}

func hostField(ex *Exchange) []byte {
	if ex.Request == nil {
		return nil
	}
	return ex.Request.Host()
}

// peekAll is PeekAll for a name in canonical form, which PeekAll alone would bring it into each time.
func peekAll(h *fasthttp.RequestHeader, name string) [][]byte {
	normalizes := !h.DisableNormalizing()
	values := h.PeekAll(name)
	if normalizes {
		h.EnableNormalizing()
	}
	return values
}

// responseField is sent_http_NAME. The names of a peer's fields are in the peer's letter case, so that Peek would miss them.
func responseField(name string) variable {
	name = strings.ReplaceAll(name, "_", "-")
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		found := false
		for field, value := range ex.Response.All() {
			if !httpfield.Is(field, name) {
				continue
			}
			if found {
				dst = append(dst, ", "...)
			}
			dst, found = append(dst, value...), true
		}
		if !found && name == "content-length" && ex.Length >= 0 {
			return strconv.AppendInt(dst, ex.Length, 10), true
		}
		return dst, found
	}
}

func appendJoined(dst []byte, values [][]byte, separator string) ([]byte, bool) {
	for i, value := range values {
		if i > 0 {
			dst = append(dst, separator...)
		}
		dst = append(dst, value...)
	}
	return dst, len(values) > 0
}

// forwardedFor is the X-Forwarded-For of the client with its own address at the end.
func forwardedFor(dst []byte, ex *Exchange) ([]byte, bool) {
	if ex.Request != nil {
		for _, value := range peekAll(ex.Request, "X-Forwarded-For") {
			dst = append(append(dst, value...), ", "...)
		}
	}
	return append(dst, ex.RemoteAddr...), true
}

// argument is arg_NAME: the first argument of that name, as sent; nginx does not decode it either.
func argument(name string) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		value, found := findPair(ex.Query, '&', name)
		return append(dst, value...), found
	}
}

// cookie is cookie_NAME.
func cookie(name string) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		value, found := ex.Cookie(name)
		return append(dst, value...), found
	}
}

// Cookie returns the value of the client's first cookie of that name, in any letter case as in nginx; valid until Finish.
func (ex *Exchange) Cookie(name string) (value []byte, found bool) {
	if ex.Request == nil {
		return nil, false
	}
	for _, line := range peekAll(ex.Request, "Cookie") {
		if value, found = findPair(line, ';', name); found {
			return value, true
		}
	}
	return nil, false
}

// findPair finds the value of the first name=value in a list. Names are compared without regard to case, as in nginx.
func findPair(list []byte, separator byte, name string) ([]byte, bool) {
	for len(list) > 0 {
		pair := list
		if end := bytes.IndexByte(list, separator); end >= 0 {
			pair, list = list[:end], list[end+1:]
		} else {
			list = nil
		}
		pair = bytes.TrimLeft(pair, " ")
		if len(pair) > len(name) && pair[len(name)] == '=' && httpfield.Is(pair[:len(name)], name) {
			return pair[len(name)+1:], true
		}
	}
	return nil, false
}

var authorization = []byte("Authorization")

// remoteUser is the name of basic authentication (RFC 7617), whether or not the password was checked.
func remoteUser(dst []byte, ex *Exchange) ([]byte, bool) {
	if ex.Request == nil {
		return dst, false
	}
	credentials := ex.Request.PeekCanonical(authorization)
	const scheme = "basic "
	if len(credentials) < len(scheme) || !httpfield.Is(credentials[:len(scheme)], scheme) {
		return dst, false
	}
	encoded := bytes.TrimRight(bytes.Trim(credentials[len(scheme):], " "), "=")
	from := len(dst)
	decoded, err := base64.RawStdEncoding.AppendDecode(dst, encoded)
	end := bytes.IndexByte(decoded[from:], ':')
	if err != nil || end < 0 {
		clear(decoded[from:])
		return decoded[:from], false
	}
	clear(decoded[from+end:]) // The password stays in no buffer.
	return decoded[:from+end], true
}

// --- response ---

func status(dst []byte, ex *Exchange) ([]byte, bool) {
	return strconv.AppendInt(dst, int64(ex.Status()), 10), true
}

func requestTime(dst []byte, ex *Exchange) ([]byte, bool) {
	return appendTime(dst, max(0, ex.ended().Sub(ex.Start))), true
}

func msec(dst []byte, ex *Exchange) ([]byte, bool) {
	return appendTime(dst, time.Duration(ex.ended().UnixNano())), true
}

// ended is the End of the exchange or, before it, now.
func (ex *Exchange) ended() time.Time {
	if ex.End.IsZero() {
		return time.Now()
	}
	return ex.End
}

// clock is a variable with the time, in seconds. The text of the last second is kept.
type clock struct {
	layout string // of package time
	last   atomic.Pointer[stamp]
}

type stamp struct {
	second int64 // of Unix time
	text   string
}

func (c *clock) append(dst []byte, ex *Exchange) ([]byte, bool) {
	now := ex.ended()
	s := c.last.Load()
	if s == nil || s.second != now.Unix() {
		s = &stamp{second: now.Unix(), text: now.Local().Format(c.layout)}
		c.last.Store(s)
	}
	return append(dst, s.text...), true
}

// --- upstream ---

// attempts is a variable with one value for each attempt, in nginx's form: a colon stands where an internal redirect led to
// another location.
func attempts(value func(dst []byte, a *Attempt) []byte) variable {
	return func(dst []byte, ex *Exchange) ([]byte, bool) {
		for i := range ex.Attempts {
			switch {
			case i == 0:
			case ex.Attempts[i].Hop != ex.Attempts[i-1].Hop:
				dst = append(dst, " : "...)
			default:
				dst = append(dst, ", "...)
			}
			dst = value(dst, &ex.Attempts[i])
		}
		return dst, len(ex.Attempts) > 0
	}
}

// queueTime is how long the request waited for a peer, all waits together.
func queueTime(dst []byte, ex *Exchange) ([]byte, bool) {
	if ex.Queued == 0 {
		return dst, false
	}
	return appendTime(dst, ex.Queued), true
}

func attemptStatus(dst []byte, a *Attempt) []byte {
	if a.Status == 0 {
		return append(dst, '-')
	}
	return strconv.AppendInt(dst, int64(a.Status), 10)
}

// appendTime appends seconds with three decimals, cut off as nginx does; "-" for a point in time that was not reached.
func appendTime(dst []byte, d time.Duration) []byte {
	if d < 0 {
		return append(dst, '-')
	}
	ms := d.Milliseconds()
	dst = append(strconv.AppendInt(dst, ms/1000, 10), '.')
	return append(dst, byte('0'+ms/100%10), byte('0'+ms/10%10), byte('0'+ms%10))
}
