package errorlog

import "unicode/utf8"

// escapeControl rewrites line[from:] such that no terminal and no reader of logs is fooled: control characters, those of
// ISO 8859 included, and bytes that are no UTF-8 become \xXX. The rest, quotes and backslashes too, is left as in nginx.
func escapeControl(line []byte, from int) []byte {
	start := from
	for start < len(line) {
		size := harmless(line[start:])
		if size == 0 {
			break
		}
		start += size
	}
	end := len(line)
	if start == end {
		return line // nearly always
	}
	for i := start; i < end; {
		if size := harmless(line[i:end]); size > 0 {
			line = append(line, line[i:i+size]...)
			i += size
			continue
		}
		line = append(line, '\\', 'x', hexDigits[line[i]>>4], hexDigits[line[i]&15])
		i++
	}
	n := copy(line[start:], line[end:])
	return line[:start+n]
}

const hexDigits = "0123456789ABCDEF"

// harmless returns the size of the character at the start of b, or 0 if it must be escaped.
func harmless(b []byte) int {
	if b[0] < utf8.RuneSelf {
		if b[0] < ' ' || b[0] == 0x7f {
			return 0
		}
		return 1
	}
	r, size := utf8.DecodeRune(b)
	if r == utf8.RuneError && size == 1 || r <= 0x9f {
		return 0
	}
	return size
}

// cut shortens line to at most limit bytes without cutting a character.
func cut(line []byte, limit int) []byte {
	if len(line) <= limit {
		return line
	}
	for limit > 0 && !utf8.RuneStart(line[limit]) {
		limit--
	}
	return line[:limit]
}
