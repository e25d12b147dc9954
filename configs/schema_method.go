package configs

import (
	"slices"
	"strings"
)

// methodUsages are the methods with their words, as in nginx.
func methodUsages() map[MethodName]string {
	return map[MethodName]string{
		RoundRobin: `round_robin alone`,
		LeastConn:  `least_conn alone`,
		LeastTime:  `least_time header or least_time last_byte, and inflight after it if requests in flight are to count`,
		IPHash:     `ip_hash alone`,
		Hash:       `hash and a key, such as hash $request_uri, and consistent after it if few keys are to move with the peers`,
		Random:     `random, random two or random two least_conn`,
	}
}

// method reads a method with its words, in one text or as a list.
func (r *reader) method(n *node) (Method, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return Method{}, false
	}
	words := texts
	if n.kind != list {
		words = strings.Fields(strings.Join(texts, " "))
	}
	if len(words) == 0 {
		words = []string{""}
	}
	m := Method{Name: MethodName(words[0])}
	usage, known := methodUsages()[m.Name]
	if !known {
		r.refuseMethod(n, words[0])
		return Method{}, false
	}
	if !m.readWords(r, n, words[1:]) {
		r.refuse(n, "wrong %s; want %s", quote(strings.Join(words, " ")), usage)
		return Method{}, false
	}
	return m, true
}

func (r *reader) refuseMethod(n *node, name string) {
	names := strs([]MethodName{RoundRobin, LeastConn, LeastTime, IPHash, Hash, Random})
	hint := didYouMean(name, names)
	if name == "sticky" {
		hint = "; it is a key of its own beside method: write sticky: {cookie: route}"
	} else if hint == "" {
		hint = "; want " + strings.Join(names, " or ")
	}
	r.refuse(n, "unknown %s%s", quote(name), hint)
}

// readWords reads what follows the name of the method in n, and says whether it is right.
func (m *Method) readWords(r *reader, n *node, words []string) bool {
	switch m.Name {
	case Hash:
		if len(words) == 0 || words[0] == "" {
			return false
		}
		m.Key, words = r.template(n, words[0]), words[1:]
		m.Consistent = slices.Equal(words, []string{"consistent"})
		return m.Consistent || len(words) == 0
	case LeastTime:
		if len(words) == 0 || words[0] != "header" && words[0] != "last_byte" {
			return false
		}
		m.LastByte, words = words[0] == "last_byte", words[1:]
		m.Inflight = slices.Equal(words, []string{"inflight"})
		return m.Inflight || len(words) == 0
	case Random:
		m.Two = slices.Equal(words, []string{"two"}) || slices.Equal(words, []string{"two", "least_conn"})
		return m.Two || len(words) == 0
	case RoundRobin, LeastConn, IPHash:
	}
	return len(words) == 0
}

func stickyFields() []field[Sticky] {
	sameSites := []string{"strict", "lax", "none"}
	return []field[Sticky]{
		value("cookie", (*reader).cookieName, func(s *Sticky) *string { return &s.Cookie }),
		value("expires", (*reader).duration, func(s *Sticky) *Duration { return &s.Expires }),
		value("domain", (*reader).cookieValue, func(s *Sticky) *string { return &s.Domain }),
		value("path", (*reader).cookieValue, func(s *Sticky) *string { return &s.Path }),
		value("secure", (*reader).flag, func(s *Sticky) *bool { return &s.Secure }),
		value("httponly", (*reader).flag, func(s *Sticky) *bool { return &s.HTTPOnly }),
		value("samesite", word(sameSites), func(s *Sticky) *string { return &s.SameSite }),
	}
}

// sticky reads off or a section.
func (r *reader) sticky(n *node) (Sticky, bool) {
	if n.isOff() {
		return Sticky{}, true
	}
	if n.kind != mapping {
		r.refuse(n, "want off or {cookie: route, ...}, got %s", n.describe())
		return Sticky{}, false
	}
	s := DefaultSticky()
	places := section(r, n, &s, stickyFields())
	if !places.Has("cookie") {
		r.refuse(n, "cookie is missing, such as cookie: route")
	}
	return s, true
}

// cookieName reads a token (RFC 6265, section 4.1.1).
func (r *reader) cookieName(n *node) (string, bool) {
	s, ok := r.text(n)
	odd := func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c) }
	if ok && (s == "" || strings.ContainsFunc(s, odd)) {
		r.refuse(n, "wrong name of a cookie %s; want letters, digits, '_' and '-'", quote(s))
		return "", false
	}
	return s, ok
}

// cookieValue reads the value of an attribute of a cookie.
func (r *reader) cookieValue(n *node) (string, bool) {
	s, ok := r.text(n)
	odd := func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ';' }
	if ok && strings.ContainsFunc(s, odd) {
		r.refuse(n, "wrong %s; no spaces, semicolons or letters beyond ASCII can be in it", quote(s))
		return "", false
	}
	return s, ok
}
