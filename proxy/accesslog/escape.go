package accesslog

import "unicode/utf8"

// Escape is how values are made harmless, as in nginx's log_format.
type Escape uint8

// The ways to escape.
const (
	EscapeDefault Escape = iota // \xXX for quotes, backslashes and all but printable ASCII; "-" for a missing value
	EscapeJSON                  // as in a JSON string; nothing for a missing value
	EscapeNone                  // as it came, ends of lines included; nothing for a missing value
)

const hexDigits = "0123456789ABCDEF"

// longestEscape is the length of \u0000.
const longestEscape = 6

// escaper rewrites values within a line.
type escaper struct {
	mode    Escape
	room    int       // for the long values of a line; the text between them is counted out
	special [256]bool // the bytes that need more than a look
}

func (e *escaper) findSpecial() {
	for c := range e.special {
		e.special[c] = e.mode != EscapeNone && (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
	}
}

// escape rewrites line[from:], and shortens it when the line or the value gets too long.
func (e *escaper) escape(line []byte, from int) []byte {
	// from counts text between the values that room has left out already, so the limit is kept with some to spare.
	room := max(shortValue, min(maxValue, e.room-from))
	end := len(line)
	value, clean := line[from:], 0
	for clean < len(value) && !e.special[value[clean]] {
		clean++
	}
	start := from + clean
	if start == end || start-from >= room {
		return line[:min(end, from+room)] // nearly always
	}
	// The rest is written behind the line and then moved.
	limit := end + room - (start - from) - longestEscape
	for i := start; i < end && len(line) <= limit; {
		size := 1
		switch {
		case !e.special[line[i]]:
			line = append(line, line[i])
		case e.mode == EscapeJSON:
			line, size = appendJSON(line, i, end)
		default:
			line = append(line, '\\', 'x', hexDigits[line[i]>>4], hexDigits[line[i]&15])
		}
		i += size
	}
	n := copy(line[start:], line[end:])
	return line[:start+n]
}

// appendJSON appends the character at line[i:end] as a part of a JSON string (RFC 8259, 7) and returns its size. Other than
// nginx it does not let bytes through that are no UTF-8, because no reader of JSON takes them.
func appendJSON(line []byte, i, end int) ([]byte, int) {
	r, size := utf8.DecodeRune(line[i:end])
	switch {
	case r == '"' || r == '\\':
		return append(line, '\\', byte(r)), 1
	case r == '\n':
		return append(line, `\n`...), 1
	case r == '\r':
		return append(line, `\r`...), 1
	case r == '\t':
		return append(line, `\t`...), 1
	case r < ' ' || 0x7f <= r && r <= 0x9f:
		return append(line, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15]), size
	case r == utf8.RuneError && size == 1:
		return append(line, `\ufffd`...), 1
	default:
		return append(line, line[i:i+size]...), size
	}
}
