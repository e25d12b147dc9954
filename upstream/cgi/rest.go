package cgi

import (
	"net/http"

	"spillway/upstream"
)

// Rest counts what is left of a response's body, whatever the peer sends.
type Rest struct {
	left   int64 // bytes still to come; -1 when the peer did not say
	bodily bool  // there may be a body: with HEAD, 204 and 304 nothing is left, and all that comes is dropped
}

// Begin begins with the head that Head has parsed into resp.
func (r *Rest) Begin(resp *upstream.Response) {
	status := resp.Header.StatusCode()
	r.left, r.bodily = resp.Length, true
	if resp.Head || status == http.StatusNoContent || status == http.StatusNotModified {
		r.left, r.bodily = 0, false
	}
}

// Take counts n bytes that have come and returns how many of them belong to the body; of further ones resp.Excess tells.
func (r *Rest) Take(resp *upstream.Response, n int) int {
	if r.left < 0 {
		return n
	}
	if int64(n) > r.left {
		resp.Excess = resp.Excess || r.bodily
		n = int(r.left)
	}
	r.left -= int64(n)
	return n
}

// Whole says that all bytes have come that the peer declared.
func (r *Rest) Whole() bool { return r.left == 0 }

// Declared says that the peer declared how many bytes come.
func (r *Rest) Declared() bool { return r.left >= 0 }
