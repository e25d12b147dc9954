package relay

import (
	"bytes"
	"regexp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// Replacement is one rule of nginx's proxy_redirect, proxy_cookie_domain or proxy_cookie_path. Both texts may have variables.
type Replacement struct{ From, To *proxy.Template }

// CookieFlags is one rule of nginx's proxy_cookie_flags.
type CookieFlags struct {
	Name  string         // of the cookie, without regard to case
	Match *regexp.Regexp // in place of Name, if it is not nil

	Secure, HTTPOnly Flag
	SameSite         Flag
	SameSiteValue    string // with SameSite set: Strict, Lax or None
}

// Flag says what becomes of an attribute of a cookie.
type Flag uint8

// What becomes of an attribute; the zero value leaves it as it is.
const (
	AsItIs Flag = iota
	Set
	Removed
)

// rewrite returns the value that a field of the peer has for the client; it is valid until the next field.
func (r *run) rewrite(name, value []byte) []byte {
	rules := &r.h.opts.Fields
	switch len(name) {
	case len("refresh"):
		if httpfield.Is(name, "refresh") {
			if at := indexFold(value, "url="); at >= 0 {
				return r.redirected(value, at+len("url="))
			}
		}
	case len("location"):
		if httpfield.Is(name, "location") {
			return r.redirected(value, 0)
		}
	case len("set-cookie"):
		if len(rules.CookieDomains)+len(rules.CookiePaths)+len(rules.CookieFlags) > 0 && httpfield.Is(name, "set-cookie") {
			return r.cookie(value)
		}
	}
	return value
}

// indexFold is bytes.Index without regard to case; part is in lower case.
func indexFold(b []byte, part string) int {
	for i := 0; i+len(part) <= len(b); i++ {
		if httpfield.Is(b[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// redirected applies redirect to the URL that begins at a place of the value.
func (r *run) redirected(value []byte, at int) []byte {
	rules := &r.h.opts.Fields
	for i := range rules.Redirects {
		rule := &rules.Redirects[i]
		r.text = rule.From.Append(r.text[:0], r.ex)
		if bytes.HasPrefix(value[at:], r.text) {
			return r.replaced(value, at, len(r.text), rule.To)
		}
	}
	if !rules.OwnRedirects {
		return value
	}
	for _, host := range [...]string{r.h.opts.Group.Name(), r.peer.Address()} {
		r.text = append(append(append(r.text[:0], "http://"...), host...), '/')
		if bytes.HasPrefix(value[at:], r.text) {
			r.value = append(append(r.value[:0], value[:at]...), value[at+len(r.text)-1:]...)
			return r.value
		}
	}
	return value
}

// replaced returns value with n bytes from at replaced.
func (r *run) replaced(value []byte, at, n int, by *proxy.Template) []byte {
	r.value = append(r.value[:0], value[:at]...)
	r.value = httpfield.Clean(by.Append(r.value, r.ex), at)
	r.value = append(r.value, value[at+n:]...)
	return r.value
}

// attribute is a part of a Set-Cookie field: the cookie itself, or one of its attributes. rest is what follows.
func attribute(cookie []byte) (name, value []byte, hasValue bool, rest []byte) {
	part, rest, _ := bytes.Cut(cookie, []byte{';'})
	name, value, hasValue = bytes.Cut(part, []byte{'='})
	return bytes.Trim(name, " "), bytes.Trim(value, " "), hasValue, rest
}

// cookie applies the rules of cookies to a Set-Cookie field. As in nginx, one that is changed is written anew, with one blank
// between its parts.
func (r *run) cookie(cookie []byte) []byte {
	rules := &r.h.opts.Fields
	name, value, hasValue, rest := attribute(cookie)
	if !hasValue {
		return cookie
	}
	flags := flagsOf(rules.CookieFlags, name)
	changed := flags != nil
	var secure, httpOnly, sameSite bool // there already
	r.value = append(append(append(r.value[:0], name...), '='), value...)
	for len(rest) > 0 {
		name, value, hasValue, rest = attribute(rest)
		switch {
		case len(name) == 0:
			continue
		case httpfield.Is(name, "domain") && hasValue:
			changed = r.domain(name, value) || changed
			continue
		case httpfield.Is(name, "path") && hasValue:
			changed = r.path(name, value) || changed
			continue
		case flags == nil:
		case httpfield.Is(name, "secure"):
			secure = true
			if flags.Secure == Removed {
				continue
			}
		case httpfield.Is(name, "httponly"):
			httpOnly = true
			if flags.HTTPOnly == Removed {
				continue
			}
		case httpfield.Is(name, "samesite"):
			if flags.SameSite == Removed {
				continue
			}
			sameSite = true
			if flags.SameSite == Set {
				value, hasValue = []byte(flags.SameSiteValue), true
			}
		}
		r.part(name, value, hasValue)
	}
	if !changed {
		return cookie
	}
	if flags != nil {
		r.addFlags(flags, secure, httpOnly, sameSite)
	}
	return r.value
}

// part appends an attribute to r.value.
func (r *run) part(name, value []byte, hasValue bool) {
	r.value = append(append(r.value, "; "...), name...)
	if hasValue {
		r.value = append(append(r.value, '='), value...)
	}
}

// addFlags appends those attributes that are to be set and are not there.
func (r *run) addFlags(flags *CookieFlags, secure, httpOnly, sameSite bool) {
	if flags.Secure == Set && !secure {
		r.value = append(r.value, "; Secure"...)
	}
	if flags.HTTPOnly == Set && !httpOnly {
		r.value = append(r.value, "; HttpOnly"...)
	}
	if flags.SameSite == Set && !sameSite {
		r.value = append(append(r.value, "; SameSite="...), flags.SameSiteValue...)
	}
}

// flagsOf returns the rule for a cookie, nil without one.
func flagsOf(rules []CookieFlags, name []byte) *CookieFlags {
	for i := range rules {
		rule := &rules[i]
		if rule.Match != nil && rule.Match.Match(name) || rule.Match == nil && bytes.EqualFold([]byte(rule.Name), name) {
			return rule
		}
	}
	return nil
}

// domain appends the Domain attribute and says whether it was changed. A dot before a domain has no meaning; it stays as it is.
func (r *run) domain(name, value []byte) bool {
	bare := bytes.TrimPrefix(value, []byte{'.'})
	for i := range r.h.opts.Fields.CookieDomains {
		rule := &r.h.opts.Fields.CookieDomains[i]
		r.text = rule.From.Append(r.text[:0], r.ex)
		if bytes.EqualFold(bytes.TrimPrefix(r.text, []byte{'.'}), bare) {
			r.part(name, value[:len(value)-len(bare)], true)
			r.text = rule.To.Append(r.text[:0], r.ex)
			r.appendClean(bytes.TrimPrefix(r.text, []byte{'.'}))
			return true
		}
	}
	r.part(name, value, true)
	return false
}

// path appends the Path attribute and says whether it was changed.
func (r *run) path(name, value []byte) bool {
	for i := range r.h.opts.Fields.CookiePaths {
		rule := &r.h.opts.Fields.CookiePaths[i]
		r.text = rule.From.Append(r.text[:0], r.ex)
		if bytes.HasPrefix(value, r.text) {
			value = value[len(r.text):]
			r.part(name, nil, true)
			r.text = rule.To.Append(r.text[:0], r.ex)
			r.appendClean(r.text)
			r.value = append(r.value, value...)
			return true
		}
	}
	r.part(name, value, true)
	return false
}

// appendClean appends what came of a template to an attribute. A semicolon that a variable brought in would begin another one.
func (r *run) appendClean(text []byte) {
	from := len(r.value)
	r.value = httpfield.Clean(append(r.value, text...), from)
	for i := from; i < len(r.value); i++ {
		if r.value[i] == ';' {
			r.value[i] = ' '
		}
	}
}
