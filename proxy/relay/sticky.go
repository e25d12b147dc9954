package relay

import (
	"net/http"
	"strconv"
	"time"

	"spillway/upstream"
)

// Sticky is nginx's "sticky cookie": the client gets a cookie with the Route of the peer that has answered it, and comes back
// to that peer by it. The picker has to be a balancer.Sticky.
type Sticky struct {
	Cookie   string        // its name
	Expires  time.Duration // how long the client keeps it; 0 is until it is closed
	Domain   string        // empty: the host that was asked
	Path     string        // empty: the folder that was asked
	Secure   bool
	HTTPOnly bool
	SameSite string // strict, lax or none; empty: no such attribute
}

// describe tells the picker what there is to know of the exchange.
func (r *run) describe() {
	opts := &r.h.opts
	r.hint.Client = r.ex.RemoteAddr
	if opts.Key != nil {
		r.key = opts.Key.Append(r.key[:0], r.ex)
		r.hint.Key = r.key
	}
	if opts.Sticky != nil {
		r.hint.Route, _ = r.ex.Cookie(opts.Sticky.Cookie)
	}
}

// bindClient binds the client to the peer that has answered. As in nginx the cookie is sent with each response, so that it
// expires only when the client has been away for so long. A client whose own peer just had no free slot gets none, and so
// comes back to its own peer: a page that asks for several things at once would else leave it wherever the last was answered.
func (r *run) bindClient() {
	s := r.h.opts.Sticky
	if s == nil || r.peer.Route() != string(r.hint.Route) && r.ownPeerWasFull() {
		return
	}
	r.binding = s.appendCookie(r.binding[:0], r.peer, time.Now())
	r.ex.Response.AddBytesV("Set-Cookie", r.binding)
}

// ownPeerWasFull says whether the peer that the client is bound to could have answered but for a slot.
func (r *run) ownPeerWasFull() bool {
	for _, p := range r.h.opts.Group.Peers() {
		if p.Route() == string(r.hint.Route) {
			return !p.Down() && p.State() == upstream.Serving && !p.PassedOver(r.hint.Now) && !r.hint.Tried.Has(p.Index())
		}
	}
	return false
}

// appendCookie appends the value of Set-Cookie, with nginx's attributes in nginx's order; the date is that of RFC 6265.
func (s *Sticky) appendCookie(dst []byte, p *upstream.Peer, now time.Time) []byte {
	dst = append(append(append(dst, s.Cookie...), '='), p.Route()...)
	if s.Expires > 0 {
		dst = now.Add(s.Expires).UTC().AppendFormat(append(dst, "; expires="...), http.TimeFormat)
		dst = strconv.AppendInt(append(dst, "; max-age="...), int64(s.Expires/time.Second), 10)
	}
	if s.Domain != "" {
		dst = append(append(dst, "; domain="...), s.Domain...)
	}
	if s.HTTPOnly {
		dst = append(dst, "; httponly"...)
	}
	if s.Secure {
		dst = append(dst, "; secure"...)
	}
	if s.SameSite != "" {
		dst = append(append(dst, "; samesite="...), s.SameSite...)
	}
	if s.Path != "" {
		dst = append(append(dst, "; path="...), s.Path...)
	}
	return dst
}
