package configs

import (
	"regexp"
	"slices"
	"strings"
)

// responseFields are those of settingFields that say what becomes of a response.
func responseFields() []field[Settings] {
	return []field[Settings]{
		value("hide_header", (*reader).fieldNames, func(s *Settings) *[]string { return &s.Response.HideHeader }),
		value("pass_header", (*reader).passHeader, func(s *Settings) *[]string { return &s.Response.PassHeader }),
		value("ignore_headers", (*reader).ignoreHeaders, func(s *Settings) *[]string { return &s.Response.IgnoreHeaders }),
		value("redirect", (*reader).redirect, func(s *Settings) *Redirect { return &s.Response.Redirect }),
		value("cookie_domain", (*reader).replacements, func(s *Settings) *[]Replacement { return &s.Response.CookieDomain }),
		value("cookie_path", (*reader).replacements, func(s *Settings) *[]Replacement { return &s.Response.CookiePath }),
		value("cookie_flags", (*reader).cookieFlags, func(s *Settings) *[]CookieFlags { return &s.Response.CookieFlags }),
		value("intercept_errors", (*reader).flag, func(s *Settings) *bool { return &s.Response.InterceptErrors }),
		value("error_page", (*reader).errorPages, func(s *Settings) *[]ErrorPage { return &s.Response.ErrorPages }),
		value("add_header", (*reader).addHeader, func(s *Settings) *[]AddedHeader { return &s.Response.AddHeader }),
		value("limit_rate", (*reader).size, func(s *Settings) *Size { return &s.Response.LimitRate }),
		value("limit_rate_after", (*reader).size, func(s *Settings) *Size { return &s.Response.LimitRateAfter }),
	}
}

func addedHeaderFields() []field[AddedHeader] {
	return []field[AddedHeader]{
		value("value", (*reader).templateText, func(h *AddedHeader) *Template { return &h.Value }),
		value("always", (*reader).flag, func(h *AddedHeader) *bool { return &h.Always }),
	}
}

// fieldNames reads names of header fields, in one text or as a list.
func (r *reader) fieldNames(n *node) ([]string, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	if n.kind != list {
		texts = strings.Fields(texts[0])
	}
	for i, name := range texts {
		if validFieldName(name) {
			continue
		}
		at := n
		if n.kind == list {
			at = n.items[i]
		}
		r.refuse(at, "%s is no name of a header field", quote(name))
		ok = false
	}
	return texts, ok
}

// passHeader reads names of fields that a client may get from a peer.
func (r *reader) passHeader(n *node) ([]string, bool) {
	names, ok := r.fieldNames(n)
	if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, "Date") }) {
		r.refuse(n, "Date is always that of spillway; a peer's cannot be passed on")
		ok = false
	}
	return names, ok
}

// validFieldName says whether name is a token of RFC 9110, section 5.6.2.
func validFieldName(name string) bool {
	for _, c := range name {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", c) {
			return false
		}
	}
	return name != ""
}

// ignoreHeaders reads nginx's names of fields that say something to the proxy.
func (r *reader) ignoreHeaders(n *node) ([]string, bool) {
	known := []string{
		"X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Limit-Rate", "X-Accel-Buffering", "X-Accel-Charset",
		"Expires", "Cache-Control", "Set-Cookie", "Vary",
	}
	names, ok := r.fieldNames(n)
	for i, name := range names {
		at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		if at < 0 {
			hint := didYouMean(name, known)
			if hint == "" {
				hint = "; want " + strings.Join(known, " ")
			}
			r.refuse(n, "unknown %s%s", quote(name), hint)
			return nil, false
		}
		names[i] = known[at]
	}
	return names, ok
}

// redirect reads default, off, or how URLs begin with what replaces it.
func (r *reader) redirect(n *node) (Redirect, bool) {
	switch {
	case n.kind == scalar && n.text == "default":
		return Redirect{Default: true}, true
	case n.isOff():
		return Redirect{}, true
	case n.kind != mapping:
		r.refuse(n, `want default, off, or what is replaced by what, such as {"http://localhost:8000/": /}, got %s`, n.describe())
		return Redirect{}, false
	}
	rules, ok := r.replacements(n)
	return Redirect{Rules: rules}, ok
}

// cookieFlags reads names of cookies with their flags.
func (r *reader) cookieFlags(n *node) ([]CookieFlags, bool) {
	known := []string{
		"secure", "httponly", "samesite=strict", "samesite=lax", "samesite=none", "nosecure", "nohttponly", "nosamesite",
	}
	if n.kind != mapping {
		r.refuse(n, `want names of cookies with flags, such as {session: secure httponly samesite=lax}, got %s`, n.describe())
		return nil, false
	}
	all := []CookieFlags{}
	good := true
	for _, p := range n.pairs {
		texts, ok := r.texts(p.value)
		flags := strings.Fields(strings.ToLower(strings.Join(texts, " ")))
		if ok && len(flags) == 0 {
			r.refuse(p.value, "no flags; want %s", strings.Join(known, " "))
		}
		if expr, isExpr := strings.CutPrefix(p.key, "~"); isExpr {
			if _, err := regexp.Compile(expr); err != nil {
				r.refuse(p.value, "wrong regular expression %s; %s", quote(expr), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
				ok = false
			}
		}
		for _, f := range flags {
			if !slices.Contains(known, f) {
				r.refuse(p.value, "unknown flag %s; want %s", quote(f), strings.Join(known, " "))
				ok = false
			}
		}
		good = good && ok && len(flags) > 0
		all = append(all, CookieFlags{p.key, flags})
	}
	return all, good
}

// addHeader reads names with values, or with {value: ..., always: on}.
func (r *reader) addHeader(n *node) ([]AddedHeader, bool) {
	if n.kind != mapping {
		r.refuse(n, "want names and values, got %s", n.describe())
		return nil, false
	}
	all := []AddedHeader{}
	good := true
	for _, p := range n.pairs {
		h := AddedHeader{Name: p.key}
		if p.value.kind == mapping {
			section(r, p.value, &h, addedHeaderFields())
		} else if text, ok := r.templateText(p.value); ok {
			h.Value = text
		} else {
			good = false
		}
		if framing := []string{"connection", "content-length", "transfer-encoding", "date"}; slices.Contains(framing, strings.ToLower(p.key)) {
			r.refuse(p.value, "%s is always spillway's own", p.key)
			good = false
		} else if !validFieldName(p.key) || strings.ContainsAny(string(h.Value), "\r\n\x00") {
			r.refuse(p.value, "%s: want the name of a header field and a value without a line break", quote(p.key))
			good = false
		}
		all = append(all, h)
	}
	return all, good
}

// errorPages reads statuses with what answers in their place.
func (r *reader) errorPages(n *node) ([]ErrorPage, bool) {
	if n.kind != mapping {
		r.refuse(n, `want statuses with what answers, such as {404: /404.html, "500 502 504": /50x.html}, got %s`, n.describe())
		return nil, false
	}
	all := []ErrorPage{}
	good := true
	for _, p := range n.pairs {
		page, ok := r.errorPage(p)
		good = good && ok
		all = append(all, page)
	}
	return all, good
}

func (r *reader) errorPage(p pair) (ErrorPage, bool) {
	page := ErrorPage{}
	text, ok := r.text(p.value)
	if !ok {
		return page, false
	}
	for word := range strings.FieldsSeq(p.key) {
		code, err := parseDigits(word)
		if err != nil || code < 300 || code > 599 || code == 499 {
			r.refuse(p.value, "%s: want statuses from 300 to 599", quote(p.key))
			return page, false
		}
		page.Codes = append(page.Codes, int(code))
	}
	to := text
	if status, rest, found := strings.Cut(text, " "); found && strings.HasPrefix(status, "=") {
		to, page.Status = strings.TrimLeft(rest, " "), OwnStatus
		if status != "=" {
			code, err := parseDigits(status[1:])
			if err != nil || code < 200 || code > 599 {
				r.refuse(p.value, "wrong status %s; want = or one from =200 to =599", quote(status))
				return page, false
			}
			page.Status = int(code)
		}
	}
	isURL := strings.HasPrefix(to, "http://") || strings.HasPrefix(to, "https://")
	if len(page.Codes) == 0 || !isURL && !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "@") {
		r.refuse(p.value, `wrong page %s; want a path, a location "@name" or a URL, and before it "=" or a status such as "=200"`, quote(text))
		return page, false
	}
	page.To = r.template(p.value, to)
	return page, true
}
