package proxy

import (
	"errors"
	"net/http"

	"github.com/valyala/fasthttp"

	"spillway/proxy/httpfield"
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

// Strip removes from a request, as it was received, the hop-by-hop fields, those that its Connection fields name, and those
// for which private is true. A client cannot have a field removed that the front end or the application decide by:
// Connection may name them, to no effect. The other fields are put back in their order; fasthttp's Del alone would change
// it, and the order of several X-Forwarded-For has a meaning.
func Strip(h *fasthttp.RequestHeader, private func(name []byte) bool) {
	var named []byte
	for name, value := range h.AllInOrder() { // walks over the bytes received, which changes of h leave alone
		if httpfield.Is(name, "connection") {
			named = append(append(named, value...), ',')
		}
		if !apart(name) {
			h.DelBytes(name)
		}
	}
	for name, value := range h.AllInOrder() {
		if !apart(name) && !httpfield.HopByHop(name) && !private(name) && (!httpfield.Named(named, name) || endToEnd(name)) {
			h.AddBytesKV(name, value)
		}
	}
}

// apart says which fields fasthttp keeps by themselves: their order does not matter, and none of them is ever stripped.
func apart(name []byte) bool {
	return httpfield.Is(name, "host") || httpfield.Is(name, "content-length") || httpfield.Is(name, "content-type") || httpfield.Is(name, "user-agent")
}

// endToEnd names what Connection cannot remove.
func endToEnd(name []byte) bool {
	for _, prefix := range []string{"x-forwarded-", "content-", "if-"} {
		if len(name) >= len(prefix) && httpfield.Is(name[:len(prefix)], prefix) {
			return true
		}
	}
	for _, field := range []string{
		"accept-encoding", "authorization", "cache-control", "cookie", "forwarded", "host", "origin", "pragma", "range",
		"referer", "user-agent", "vary", "x-real-ip",
	} {
		if httpfield.Is(name, field) {
			return true
		}
	}
	return false
}
