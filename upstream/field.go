package upstream

import (
	"net/http"
	"slices"
	"strconv"

	"spillway/proxy/httpfield"
)

// SetStatus takes the response's status over. RFC 9110, section 15: three digits, 100 to 599; a peer that sends anything
// else, or a 101 outside Switch, is not to be trusted.
func (r *Response) SetStatus(code int) error {
	if code < 200 || code > 599 {
		return invalidStatus(code)
	}
	r.Header.SetStatusCode(code)
	return nil
}

func invalidStatus(code int) error {
	return NewError(ReadingHead, Invalid, "upstream sent invalid status \""+strconv.Itoa(code)+"\"")
}

// Switch takes a 101 over that chose a protocol (RFC 9110, section 15.2.2), together with the two fields that say so to the
// client. One that nobody asked for, or for another protocol than was asked for, is not to be trusted.
func (r *Response) Switch(protocol []byte) error {
	switch {
	case len(r.Upgrade) == 0:
		return invalidStatus(http.StatusSwitchingProtocols)
	case len(protocol) == 0 || !httpfield.Named(r.Upgrade, protocol):
		return NewError(ReadingHead, Invalid, "upstream switched to another protocol than it was asked for")
	}
	r.Switched = true
	r.Header.SetStatusCode(http.StatusSwitchingProtocols)
	r.Header.Add("Connection", "upgrade")
	r.Header.AddBytesV("Upgrade", protocol)
	return nil
}

// NameConnection notes the value of the response's Connection field: the fields that it names belong to the connection
// to the peer and do not go further (RFC 9110, section 7.6.1). Call it before AddField for the fields it may name, or
// collect the fields first.
func (r *Response) NameConnection(value []byte) {
	r.named = append(append(r.named, ','), value...)
}

// AddField takes one field of the peer's response over, unless it belongs to the connection to the peer or frames the body:
// it goes to r.Field, or else into r.Header unless it is Hidden. Names keep the peer's letter case. The caller has checked
// that name is a token and that value has no control bytes.
func (r *Response) AddField(name, value []byte) {
	switch {
	case PerConnection(name) || len(r.named) > 0 && httpfield.Named(r.named, name):
	case r.Field != nil:
		r.Field(name, value)
	case !Hidden(name):
		r.Header.AddBytesKV(name, value)
	}
}

// PassEarly hands the fields of a 103 to r.Early; it uses the slice up.
func (r *Response) PassEarly(fields []Field) {
	if r.Early == nil {
		return
	}
	for i := range fields {
		if httpfield.Is(fields[i].Name, "connection") {
			r.NameConnection(fields[i].Value)
		}
	}
	r.Early(slices.DeleteFunc(fields, func(f Field) bool { return PerConnection(f.Name) || httpfield.Named(r.named, f.Name) }))
	r.named = r.named[:0]
}

// AddTrailer hands a field behind the body to r.Trailer, unless it may not stand there: one that frames the message, or that
// whoever has taken the head has decided by already (RFC 9110, section 6.5.1).
func (r *Response) AddTrailer(name, value []byte) {
	if r.Trailer != nil && !PerConnection(name) && !belongsToHead(name) {
		r.Trailer(name, value)
	}
}

// belongsToHead names the fields for routing, authentication, caching, cookies and the handling of the content.
func belongsToHead(name []byte) bool {
	for _, field := range []string{
		"age", "authorization", "cache-control", "date", "expires", "host", "location", "pragma", "refresh", "retry-after",
		"set-cookie", "status", "vary", "warning", "www-authenticate",
	} {
		if httpfield.Is(name, field) {
			return true
		}
	}
	return len(name) > 8 && httpfield.Is(name[:8], "content-")
}

// PerConnection says whether a field is written by each side for its own connection: the hop-by-hop fields and
// Content-Length.
func PerConnection(name []byte) bool {
	return httpfield.HopByHop(name) || httpfield.Is(name, "content-length")
}

// Hidden names what nginx does not pass on to clients unless it is told to: proxy_hide_header's defaults (Date and Server are
// ours to send) and all of X-Accel.
func Hidden(name []byte) bool {
	switch len(name) {
	case 4:
		return httpfield.Is(name, "date")
	case 5:
		return httpfield.Is(name, "x-pad")
	case 6:
		return httpfield.Is(name, "server")
	default:
		return Accel(name)
	}
}

// Accel says whether a field is one by which a peer tells the proxy what to do with its response: nginx's X-Accel-*.
func Accel(name []byte) bool { return len(name) > 8 && httpfield.Is(name[:8], "x-accel-") }
