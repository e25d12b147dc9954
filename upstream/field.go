package upstream

import (
	"bytes"
	"strconv"
)

// SetStatus takes the response's status over. RFC 9110, section 15: three digits, 100 to 599; a peer that sends anything
// else, or a 101 that nobody asked for, is not to be trusted.
func (r *Response) SetStatus(code int) error {
	if code < 200 || code > 599 {
		return NewError(ReadingHead, Invalid, "upstream sent invalid status \""+strconv.Itoa(code)+"\"")
	}
	r.Header.SetStatusCode(code)
	return nil
}

// NameConnection notes the value of the response's Connection field: the fields that it names belong to the connection
// to the peer and do not go further (RFC 9110, section 7.6.1). Call it before AddField for the fields it may name, or
// collect the fields first.
func (r *Response) NameConnection(value []byte) {
	r.named = append(append(r.named, ','), value...)
}

// AddField copies one field of the peer's response into r.Header, unless it belongs to the connection to the peer, frames
// the body, or is one that nginx hides from clients (X-Accel-*, X-Pad, Date and Server, which are ours to send). Names
// keep the peer's letter case. The caller has checked that name is a token and that value has no control bytes.
func (r *Response) AddField(name, value []byte) {
	if HopByHop(name) || hidden(name) || (len(r.named) > 0 && Named(r.named, name)) {
		return
	}
	r.Header.AddBytesKV(name, value)
}

// Named says whether a Connection field's value, a comma separated list, names the field.
func Named(list, name []byte) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if bytes.EqualFold(bytes.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// HopByHop says whether a field belongs to one connection only or frames the message on it, so that a proxy must not
// pass it on: RFC 9110, section 7.6.1, and the framing fields, which each side writes for itself.
func HopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return equal(name, "te")
	case 7:
		return equal(name, "trailer") || equal(name, "upgrade")
	case 10:
		return equal(name, "connection") || equal(name, "keep-alive")
	case 14:
		return equal(name, "content-length")
	case 16:
		return equal(name, "proxy-connection")
	case 17:
		return equal(name, "transfer-encoding")
	case 18:
		return equal(name, "proxy-authenticate")
	case 19:
		return equal(name, "proxy-authorization")
	case 25:
		return equal(name, "proxy-authentication-info")
	default:
		return false
	}
}

// hidden names what nginx does not pass on: proxy_hide_header's defaults and all of X-Accel.
func hidden(name []byte) bool {
	switch len(name) {
	case 4:
		return equal(name, "date")
	case 5:
		return equal(name, "x-pad")
	case 6:
		return equal(name, "server")
	default:
		return len(name) > 8 && equal(name[:8], "x-accel-")
	}
}

// equal compares a field name with a lower-case one, without regard to case.
func equal(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// tokenByte marks the bytes that a field name may have: RFC 9110, section 5.6.2.
func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '_', '.', '!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|', '~':
		return true
	default:
		return false
	}
}

// ValidName says whether name is a field name: RFC 9110, section 5.1.
func ValidName(name []byte) bool {
	for _, c := range name {
		if !tokenByte(c) {
			return false
		}
	}
	return len(name) > 0
}

// ValidValue says whether value may stand in a field: RFC 9110, section 5.5, no control bytes but the tab.
func ValidValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
