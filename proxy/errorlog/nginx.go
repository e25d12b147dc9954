package errorlog

import (
	"log/slog"
	"strings"
)

const (
	// maxNginxLine is nginx's NGX_MAX_ERROR_STR, the line's end included.
	maxNginxLine = 2048

	nginxTime = "2006/01/02 15:04:05"
)

// appendNginx appends nginx's line:
//
//	YYYY/MM/DD HH:MM:SS [level] pid#tid: *conn MESSAGE, client: IP, server: NAME, request: "LINE", upstream: "URL", host: "H", referrer: "R", why: "ID"
//
// The last one is not nginx's: it stands where expressions that were written for nginx do not look. Outside the handling of an
// exchange, all from ", client" on is missing. A message that nginx has no words for is followed by its attributes as ", key: value".
func appendNginx(line []byte, r *record) []byte {
	line = r.time.Local().AppendFormat(line, nginxTime)
	line = append(append(line, " ["...), levelName(r.level)...)
	line = append(append(line, "] "...), r.pid...)
	line = append(append(line, '#'), r.pid...) // The number of a thread says nothing in Go.
	line = append(line, ": "...)
	from := len(line)
	if conn := r.exchangeText("conn"); conn != "" {
		line = append(append(append(line, '*'), conn...), ' ')
	}
	if text := words(r.message); text != "" {
		line = appendWords(line, text, r)
		line = appendContext(line, r, r.upstreamURL())
	} else {
		line = append(line, r.message...)
		line = appendPairs(line, r)
		line = appendContext(line, r, "")
	}
	// Last, because it is longer than a line may be.
	line = appendQuoted(line, "stack", r.text("stack"))
	line = escapeControl(line, from)
	return append(cut(line, maxNginxLine-len(lineEnd)), lineEnd...)
}

// appendContext appends nginx's description of an exchange.
func appendContext(line []byte, r *record, upstream string) []byte {
	if r.exchange != nil {
		line = append(append(line, ", client: "...), r.exchangeText("client")...)
		line = append(append(line, ", server: "...), r.exchangeText("server")...)
		line = appendQuoted(line, "request", r.exchangeText("request"))
	}
	line = appendQuoted(line, "upstream", upstream)
	line = appendQuoted(line, "host", r.exchangeText("host"))
	line = appendQuoted(line, "referrer", r.exchangeText("referrer"))
	return appendQuoted(line, "why", r.exchangeText("why"))
}

// appendQuoted appends a part of the context unless it is empty. Like nginx, it leaves quotes in value as they are.
func appendQuoted(line []byte, key, value string) []byte {
	if value == "" {
		return line
	}
	line = append(append(line, ", "...), key...)
	line = append(append(line, `: "`...), value...)
	return append(line, '"')
}

// upstreamURL is where an attempt went: with the group's name while no peer was chosen, and with the URI only where the
// protocol has one, as nginx shows it; "" when the record is not about an upstream.
func (r *record) upstreamURL() string {
	scheme, address := r.text("scheme"), r.text("peer")
	if address == "" {
		address = r.text("upstream")
	}
	if scheme == "" || address == "" {
		return ""
	}
	url := scheme + "://" + address
	if strings.HasPrefix(address, "unix:") {
		url += ":"
	}
	if strings.HasPrefix(scheme, "http") {
		url += r.text("uri")
	}
	return url
}

// appendPairs appends the attributes of a message that nginx has no words for.
func appendPairs(line []byte, r *record) []byte {
	for i := range r.fields {
		f := &r.fields[i]
		if f.key == "stack" {
			continue
		}
		value := valueText(f.value)
		if value == "" || strings.ContainsAny(value, " ,\"\r\n\t") {
			value = `"` + strings.ReplaceAll(value, `"`, `\"`) + `"`
		}
		line = append(append(line, ", "...), f.key...)
		line = append(append(line, ": "...), value...)
	}
	return line
}

// exchangeText returns one attribute of the exchange, "" without one.
func (r *record) exchangeText(key string) string {
	for _, a := range r.exchange {
		if a.Key == key {
			return valueText(a.Value.Resolve())
		}
	}
	return ""
}

// valueText is a value as text, at most as much of it as a line can hold.
func valueText(value slog.Value) string {
	text := value.String()
	if value.Kind() == slog.KindTime {
		text = value.Time().Format(jsonTime)
	}
	return text[:min(len(text), maxNginxLine)]
}
