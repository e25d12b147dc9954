package httpfield

import "bytes"

// HopByHop says whether a field belongs to one connection only, so that a proxy must not pass it on (RFC 9110, section
// 7.6.1). Transfer-Encoding is among them; Content-Length, which says something of the body too, is not.
func HopByHop(name []byte) bool {
	switch len(name) {
	case 2:
		return Is(name, "te")
	case 7:
		return Is(name, "trailer") || Is(name, "upgrade")
	case 10:
		return Is(name, "connection") || Is(name, "keep-alive")
	case 16:
		return Is(name, "proxy-connection")
	case 17:
		return Is(name, "transfer-encoding")
	case 18:
		return Is(name, "proxy-authenticate")
	case 19:
		return Is(name, "proxy-authorization")
	case 25:
		return Is(name, "proxy-authentication-info")
	default:
		return false
	}
}

// Named says whether a Connection field's value, a comma separated list, names the field.
func Named(list, name []byte) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if bytes.EqualFold(bytes.TrimSpace(item), name) {
			return true
		}
	}
	return false
}

// Is compares a name with a lower-case one, without regard to case.
func Is(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := range name {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
