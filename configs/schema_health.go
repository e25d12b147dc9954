package configs

import "strings"

func healthFields() []field[Health] {
	kinds := []ProbeKind{ProbeRequest, ProbeTCP}
	return []field[Health]{
		value("probe", word(kinds), func(h *Health) *ProbeKind { return &h.Probe }),
		value("path", (*reader).text, func(h *Health) *string { return &h.Path }),
		value("host", (*reader).text, func(h *Health) *string { return &h.Host }),
		value("interval", (*reader).timeout, func(h *Health) *Duration { return &h.Interval }),
		value("timeout", (*reader).timeout, func(h *Health) *Duration { return &h.Timeout }),
		value("fails", number(1, anyCount), func(h *Health) *int { return &h.Fails }),
		value("passes", number(1, anyCount), func(h *Health) *int { return &h.Passes }),
		value("match", (*reader).match, func(h *Health) *Match { return &h.Match }),
		value("mandatory", (*reader).flag, func(h *Health) *bool { return &h.Mandatory }),
		value("restart", (*reader).flag, func(h *Health) *bool { return &h.Restart }),
	}
}

func matchFields() []field[Match] {
	return []field[Match]{
		value("status", (*reader).statuses, func(m *Match) *[]StatusRange { return &m.Status }),
		value("body", (*reader).text, func(m *Match) *string { return &m.Body }),
		value("header", (*reader).fields, func(m *Match) *[]Field { return &m.Header }),
	}
}

// health reads off, tcp, a path, or a section.
func (r *reader) health(n *node) (*Health, bool) {
	h := DefaultHealth()
	switch {
	case n.isOff():
		return nil, true
	case n.kind == mapping:
		h.Places = section(r, n, &h, healthFields())
		if !h.Places.Has("timeout") {
			h.Timeout = min(h.Timeout, h.Interval)
		}
		return &h, true
	case n.kind == scalar && n.text == string(ProbeTCP):
		h.Probe = ProbeTCP
	case n.kind == scalar && strings.HasPrefix(n.text, "/"):
		h.Path = n.text
	default:
		r.refuse(n, "want off, tcp, a path such as /health, or {path: /health, interval: 5s}, got %s", n.describe())
		return nil, false
	}
	h.Places = Places{"": n.place}
	return &h, true
}

func (r *reader) match(n *node) (Match, bool) {
	m := DefaultHealth().Match
	section(r, n, &m, matchFields())
	return m, true
}

// statuses reads statuses and ranges, as a text or a list.
func (r *reader) statuses(n *node) ([]StatusRange, bool) {
	texts, ok := r.texts(n)
	if !ok {
		return nil, false
	}
	var all []StatusRange
	for i, text := range texts {
		for s := range strings.FieldsSeq(text) {
			status, good := parseStatus(s)
			if !good {
				r.refuse(n.list()[i], "wrong status %s; want a status from 100 to 599, a range such as 200-399, or a list of them", quote(s))
				return nil, false
			}
			all = append(all, status)
		}
	}
	if len(all) == 0 {
		r.refuse(n, "want a status, a range such as 200-399, or a list of them, got nothing")
		return nil, false
	}
	return all, true
}

func parseStatus(s string) (StatusRange, bool) {
	first, last, isRange := strings.Cut(s, "-")
	if !isRange {
		last = first
	}
	least, err := parseDigits(first)
	most, errLast := parseDigits(last)
	good := err == nil && errLast == nil && least >= 100 && least <= most && most <= 599
	return StatusRange{First: int(least), Last: int(most)}, good
}
