package httpfield

import "encoding/binary"

// tokens has the bytes that a field name may have: RFC 9110, section 5.6.2.
var tokens = func() (table [256]bool) {
	for c := range table {
		table[c] = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		table[c] = true
	}
	return table
}()

// ValidName says whether name is a field name: RFC 9110, section 5.1.
func ValidName(name []byte) bool {
	for _, c := range name {
		if !tokens[c] {
			return false
		}
	}
	return len(name) > 0
}

// CutName cuts a field line behind its name; false means that it does not begin with a field name and a colon (RFC 9112,
// section 5).
func CutName(line []byte) (name, rest []byte, ok bool) {
	n := 0
	for n < len(line) && tokens[line[n]] {
		n++
	}
	if n == 0 || n == len(line) || line[n] != ':' {
		return nil, nil, false
	}
	return line[:n], line[n+1:], true
}

// Trim returns value without the blanks and tabs around it: RFC 9110, section 5.5.
func Trim(value []byte) []byte {
	for len(value) > 0 && isBlank(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && isBlank(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// ValidValue says whether value may stand in a field: RFC 9110, section 5.5, no control bytes but the tab. It looks at eight bytes
// at once, since it sees all that peers send in their heads (BenchmarkValidValue).
func ValidValue(value []byte) bool {
	for len(value) >= 8 {
		if mayHaveControl(binary.LittleEndian.Uint64(value)) && !validBytes(value[:8]) {
			return false
		}
		value = value[8:]
	}
	return validBytes(value)
}

// mayHaveControl says whether one of eight bytes is below ' ', as the tab is, or DEL.
func mayHaveControl(word uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	del := word ^ 0x7f*ones // has a zero byte where word has DEL
	return ((word-' '*ones)&^word|(del-ones)&^del)&tops != 0
}

func validBytes(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Clean makes the bytes of b from a place on fit for a field: control bytes, which the value of a variable can bring in, become
// blanks, so that no value can end its line.
func Clean(b []byte, from int) []byte {
	if ValidValue(b[from:]) {
		return b
	}
	for i := from; i < len(b); i++ {
		if b[i] < ' ' && b[i] != '\t' || b[i] == 0x7f {
			b[i] = ' '
		}
	}
	return b
}
