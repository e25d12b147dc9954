package httpfield

// tokenByte marks the bytes that a field name may have: RFC 9110, section 5.6.2.
func tokenByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '-', '_', '.', '!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|', '~':
		return true
	default:
		return false
	}
}

// ValidName says whether name is a field name: RFC 9110, section 5.1.
func ValidName(name []byte) bool {
	for _, c := range name {
		if !tokenByte(c) {
			return false
		}
	}
	return len(name) > 0
}

// ValidValue says whether value may stand in a field: RFC 9110, section 5.5, no control bytes but the tab.
func ValidValue(value []byte) bool {
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
	for i := from; i < len(b); i++ {
		if b[i] < ' ' && b[i] != '\t' || b[i] == 0x7f {
			b[i] = ' '
		}
	}
	return b
}
