package downstream

import "bytes"

// parseHost checks the value of a Host field or the authority of a target (RFC 3986 section 3.2, without userinfo) and
// returns its host, without port and final dot, in lower case, in dst.
func parseHost(dst, value []byte) ([]byte, error) {
	host, port := value, []byte(nil)
	if len(value) > 0 && value[0] == '[' {
		end := bytes.IndexByte(value, ']')
		if end < 0 || !isIPv6(value[1:end]) {
			return nil, errHost()
		}
		host, port = value[:end+1], value[end+1:]
	} else {
		if colon := bytes.IndexByte(value, ':'); colon >= 0 {
			host, port = value[:colon], value[colon:]
		}
		if len(host) > 1 && host[len(host)-1] == '.' {
			host = host[:len(host)-1]
		}
		if !isName(host) {
			return nil, errHost()
		}
	}
	if !isPort(port) {
		return nil, errHost()
	}
	for _, c := range host {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		dst = append(dst, c)
	}
	return dst, nil
}

func errHost() error { return badRequest("invalid host") }

// isName takes letters, digits, '-', '_' and '~' in labels between single dots.
func isName(host []byte) bool {
	if len(host) == 0 || len(host) > 255 {
		return false
	}
	previous := byte('.')
	for _, c := range host {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '-' || c == '_' || c == '~'
		if !letter && (c != '.' || previous == '.') {
			return false
		}
		previous = c
	}
	return previous != '.'
}

func isIPv6(host []byte) bool {
	colons := 0
	for _, c := range host {
		switch {
		case c == ':':
			colons++
		case isDigit(c), c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '.':
		default:
			return false
		}
	}
	return colons >= 2 && len(host) <= 45
}

// isPort takes nothing, or a colon and at most 65535.
func isPort(port []byte) bool {
	if len(port) == 0 {
		return true
	}
	if port[0] != ':' || len(port) > 6 {
		return false
	}
	n := 0
	for _, c := range port[1:] {
		if !isDigit(c) {
			return false
		}
		n = 10*n + int(c-'0')
	}
	return n <= 65535
}
