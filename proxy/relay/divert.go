package relay

import (
	"io"
	"net/http"
	"time"

	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// A response of a peer is given up when another location is to answer: because the peer says so (X-Accel-Redirect), or because
// its status is one that the location has an error page for. The peer is free then, before the other location begins.

// divert returns the error that makes another location answer, nil when the response is for the client.
func (r *run) divert() error {
	ex := r.ex
	if status := ex.Status(); r.h.opts.Intercept && status >= http.StatusMultipleChoices && ex.Route.ErrorPage(status) != nil {
		if status == http.StatusUnauthorized {
			r.keep("www-authenticate")
		}
		r.giveUp()
		return &proxy.StatusError{Code: status}
	}
	if r.accel.said&AccelLimitRate != 0 {
		ex.Limit(r.accel.rate)
	}
	if r.accel.said&AccelRedirect == 0 {
		return nil
	}
	// nginx's list.
	r.keep("content-type", "set-cookie", "content-disposition", "cache-control", "expires", "accept-ranges")
	redirect := &proxy.RedirectError{To: string(r.accel.redirect), About: r.about("phase", upstream.ReadingHead.String())}
	r.giveUp()
	return redirect
}

// keep keeps fields of the response for the client.
func (r *run) keep(names ...string) {
	for name, value := range r.ex.Response.All() {
		for _, kept := range names {
			if httpfield.Is(name, kept) {
				r.ex.Keep(name, value)
			}
		}
	}
}

// giveUp ends the attempt without the body of its response, which as in nginx does not count.
func (r *run) giveUp() {
	record := r.lastAttempt()
	record.Response = time.Since(r.hint.Now)
	record.Received = r.conn.Received()
	fate := upstream.Spent
	if r.resp.Complete && r.resp.Reusable && r.sendErr == nil {
		fate = upstream.Reusable
	}
	r.release(fate)
}

// keepBody leaves the request body, if it was held as a whole, to the location that may answer in place of this one.
func (r *run) keepBody(held bool) {
	switch {
	case !held || r.stream.started:
		r.ex.KeepBody(nil, 0)
	case r.body != nil:
		r.ex.KeepBody(&heldBody{Reader: r.body.NewReader(), body: r.body}, r.body.Len())
		r.body = nil
	}
}

// heldBody is a request body that was read already.
type heldBody struct {
	io.Reader

	body *buffering.Body
}

// Close gives the memory and the file back.
func (b *heldBody) Close() error {
	b.body.Free()
	return nil
}
