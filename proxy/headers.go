package proxy

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/valyala/fasthttp"
)

// errTooLarge is the error of a request body beyond client_max_body_size; the log line has been written.
var errTooLarge = errors.New("request body too large")

// prepare checks the limits of the route.
func (ex *Exchange) prepare() error {
	if ex.Route.tooLarge(ex.BodyLength) {
		ex.Log().Error("request body too large", "exchange", ex, "bytes", ex.BodyLength)
		return TooLarge()
	}
	return nil
}

// TooLarge is the error for a request body beyond client_max_body_size: 413, and the connection is closed.
func TooLarge() error {
	return &StatusError{Code: http.StatusRequestEntityTooLarge, Cause: CauseRequestBody, Err: errTooLarge}
}

// HopByHop says whether a request field belongs to one connection only, RFC 9110 section 7.6.1, so that a proxy must not
// pass it on. Fields that frame the body are among them; Content-Length, which says something about the body too, is not.
func HopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return equalFold(name, "te")
	case 7:
		return equalFold(name, "trailer") || equalFold(name, "upgrade")
	case 10:
		return equalFold(name, "connection") || equalFold(name, "keep-alive")
	case 16:
		return equalFold(name, "proxy-connection")
	case 17:
		return equalFold(name, "transfer-encoding")
	case 18:
		return equalFold(name, "proxy-authenticate")
	case 19:
		return equalFold(name, "proxy-authorization")
	default:
		return false
	}
}

// Strip removes from a request, as it was received, the hop-by-hop fields, those that its Connection fields name, and those
// for which private is true. A client cannot have a field removed that the front end or the application decide by:
// Connection may name them, to no effect. The other fields are put back in their order; fasthttp's Del alone would change
// it, and the order of several X-Forwarded-For has a meaning.
func Strip(h *fasthttp.RequestHeader, private func(name []byte) bool) {
	var named []byte
	for name, value := range h.AllInOrder() { // walks over the bytes received, which changes of h leave alone
		if equalFold(name, "connection") {
			named = append(append(named, value...), ',')
		}
		if !apart(name) {
			h.DelBytes(name)
		}
	}
	for name, value := range h.AllInOrder() {
		if !apart(name) && !HopByHop(name) && !private(name) && !isNamed(name, named) {
			h.AddBytesKV(name, value)
		}
	}
}

// apart says which fields fasthttp keeps by themselves: their order does not matter, and none of them is ever stripped.
func apart(name []byte) bool {
	return equalFold(name, "host") || equalFold(name, "content-length") || equalFold(name, "content-type") || equalFold(name, "user-agent")
}

// isNamed says whether a list of names has the field, and may have it.
func isNamed(name, list []byte) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if bytes.EqualFold(bytes.Trim(item, " \t"), name) {
			return !endToEnd(name)
		}
	}
	return false
}

// endToEnd names what Connection cannot remove.
func endToEnd(name []byte) bool {
	for _, prefix := range []string{"x-forwarded-", "content-", "if-"} {
		if len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	for _, field := range []string{
		"accept-encoding", "authorization", "cache-control", "cookie", "forwarded", "host", "origin", "pragma", "range",
		"referer", "user-agent", "vary", "x-real-ip",
	} {
		if equalFold(name, field) {
			return true
		}
	}
	return false
}
