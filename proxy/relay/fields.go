package relay

import (
	"strconv"
	"strings"

	"spillway/proxy/httpfield"
	"spillway/upstream"
)

// The fields of a peer's response pass field one by one, while the protocol reads the head:
//
//  1. X-Accel fields are noted: they are for us;
//  2. what is hidden from clients ends here;
//  3. Location, Refresh and Set-Cookie are rewritten (rewrite.go);
//  4. the rest goes into the response as it is.
//
// When the head is whole, obey does what the X-Accel fields say about how it is received, and divert the rest, when it is sure that
// the response counts.

// FieldRules say what becomes of the fields of a peer's response on their way to the client. The zero value is what nginx does
// unasked, without its default of proxy_redirect.
type FieldRules struct {
	Hide   []string // [hide_header]: these, too, are kept from the client
	Pass   []string // [pass_header]: these are not, although upstream.Hidden names them
	Ignore Accel    // [ignore_headers]: X-Accel fields that do nothing

	// [redirect]: how Location and the URL in Refresh begin, and what they begin with instead; the first rule that fits counts.
	Redirects    []Replacement
	OwnRedirects bool // [redirect default]: the name of the group and the address of the peer are left out of a URL

	CookieDomains []Replacement // [cookie_domain]: whole domains, without regard to case and a dot before them
	CookiePaths   []Replacement // [cookie_path]: how paths begin
	CookieFlags   []CookieFlags // [cookie_flags]: the first that fits the cookie's name counts
}

// Accel is a set of X-Accel fields.
type Accel uint8

// The X-Accel fields that do something.
const (
	AccelRedirect Accel = 1 << iota
	AccelBuffering
	AccelLimitRate
	AccelCharset
)

// accel is what a peer says by its X-Accel fields; the first field of a name counts, and one without a meaning says nothing.
type accel struct {
	redirect []byte // X-Accel-Redirect; empty: the response is for the client
	charset  []byte // X-Accel-Charset
	buffer   bool   // X-Accel-Buffering
	rate     int64  // X-Accel-Limit-Rate: bytes per second, 0 is no limit

	said Accel // which of them there are
}

// reset prepares a for another response; the memory is kept.
func (a *accel) reset() {
	*a = accel{redirect: a.redirect[:0], charset: a.charset[:0]}
}

// note takes the value of an X-Accel field over.
func (a *accel) note(name, value []byte, ignore Accel) {
	var is Accel
	switch name = name[len("x-accel-"):]; {
	case httpfield.Is(name, "redirect"):
		is = AccelRedirect
	case httpfield.Is(name, "buffering"):
		is = AccelBuffering
	case httpfield.Is(name, "limit-rate"):
		is = AccelLimitRate
	case httpfield.Is(name, "charset"):
		is = AccelCharset
	default: // X-Accel-Expires is for a cache
		return
	}
	if (ignore|a.said)&is != 0 || len(value) == 0 || !a.take(is, value) {
		return
	}
	a.said |= is
}

// take says whether the value has a meaning.
func (a *accel) take(is Accel, value []byte) bool {
	switch is {
	case AccelRedirect:
		a.redirect = append(a.redirect, value...)
	case AccelCharset:
		a.charset = append(a.charset, value...)
		return httpfield.ValidName(value)
	case AccelBuffering:
		a.buffer = httpfield.Is(value, "yes")
		return a.buffer || httpfield.Is(value, "no")
	case AccelLimitRate:
		rate, err := strconv.ParseUint(string(value), 10, 62)
		a.rate = int64(rate)
		return err == nil
	}
	return true
}

// field is upstream.Response's Field.
func (r *run) field(name, value []byte) {
	rules := &r.h.opts.Fields
	if upstream.Accel(name) {
		r.accel.note(name, value, rules.Ignore)
	}
	if r.hides(name) {
		return
	}
	if httpfield.Is(name, "content-type") { // of most responses; the short way to what AddBytesKV does with it
		r.resp.Header.SetContentTypeBytes(value)
		return
	}
	r.resp.Header.AddBytesKV(name, r.rewrite(name, value))
}

// passEarly is upstream.Response's Early: the client gets the hints of a peer as they come.
func (r *run) passEarly(fields []upstream.Field) {
	r.early = append(r.early[:0], "HTTP/1.1 103 Early Hints\r\n"...)
	for i := range fields {
		if f := &fields[i]; !r.hides(f.Name) {
			r.early = appendLine(r.early, f.Name, f.Value)
		}
	}
	r.early = append(r.early, "\r\n"...)
	r.ex.Interim(r.early)
}

// passTrailer is upstream.Response's Trailer.
func (r *run) passTrailer(name, value []byte) {
	if !r.hides(name) {
		r.ex.Trailer = appendLine(r.ex.Trailer, name, value)
	}
}

func appendLine(dst, name, value []byte) []byte {
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...)
}

// hides says whether a field is kept from the client.
func (r *run) hides(name []byte) bool {
	rules := &r.h.opts.Fields
	return upstream.Hidden(name) && !named(rules.Pass, name) || named(rules.Hide, name)
}

func named(names []string, name []byte) bool {
	for _, n := range names {
		if len(n) == len(name) && strings.EqualFold(n, string(name)) {
			return true
		}
	}
	return false
}

// obey does what the X-Accel fields say about the delivery of the response.
func (r *run) obey() {
	said := r.accel.said
	r.unbuffer = r.h.opts.Unbuffer
	if said == 0 {
		return
	}
	if said&AccelBuffering != 0 {
		r.unbuffer = !r.accel.buffer
	}
	if said&AccelCharset != 0 {
		r.setCharset()
	}
}

// setCharset gives a Content-Type without a charset that of X-Accel-Charset; nothing is converted.
func (r *run) setCharset() {
	header := r.resp.Header
	kind := header.ContentType()
	if len(kind) == 0 || indexFold(kind, "charset=") >= 0 {
		return
	}
	r.text = append(append(append(r.text[:0], kind...), "; charset="...), r.accel.charset...)
	header.SetContentTypeBytes(r.text)
}
