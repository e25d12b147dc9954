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
