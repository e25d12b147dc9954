package downstream

import "bytes"

// target is a request-target taken apart, RFC 9112 section 3.2. All parts are parts of the request-target.
type target struct {
	authority []byte // of the absolute-form, else nil
	path      []byte // as sent; empty in an absolute-form without one
	query     []byte // without the question mark
	rest      []byte // path and query as sent
}

// parseTarget takes a request-target in origin-form or absolute-form, whose bytes the guard has checked. Like nginx it
// refuses the asterisk-form.
func parseTarget(raw []byte) (target, error) {
	var t target
	t.rest = raw
	if len(raw) == 0 || raw[0] != '/' {
		var scheme int // its length
		switch {
		case hasPrefixFold(raw, "http://"):
			scheme = len("http://")
		case hasPrefixFold(raw, "https://"):
			scheme = len("https://")
		default:
			return t, badRequest("request-target that is neither a path nor an http URI")
		}
		end := bytes.IndexAny(raw[scheme:], "/?")
		if end < 0 {
			end = len(raw) - scheme
		}
		t.authority, t.rest = raw[scheme:scheme+end], raw[scheme+end:]
	}
	t.path = t.rest
	if mark := bytes.IndexByte(t.rest, '?'); mark >= 0 {
		t.path, t.query = t.rest[:mark], t.rest[mark+1:]
	}
	return t, nil
}

// separators says which bytes divide a decoded path.
type separators bool

const (
	slashOnly         separators = false
	slashAndBackslash separators = true
)

// appendPath decodes and normalises the path of a target as nginx does, and appends the result to dst, which has room
// for len(raw)+1 bytes: %XX is decoded once, slashes are merged, dot segments are resolved. A path that leaves the root,
// a bad escape and control bytes are errors.
func appendPath(dst, raw []byte, sep separators) ([]byte, error) {
	start := len(dst)
	dst = append(dst, '/')
	segment := len(dst) // where the segment begins that is being appended
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
				return nil, badRequest("invalid escape in the path")
			}
			c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
			i += 2
			if c < ' ' || c == 0x7f {
				return nil, badRequest("escaped control byte in the path")
			}
		}
		if c == '\\' && sep == slashAndBackslash {
			c = '/'
		}
		if c != '/' {
			dst = append(dst, c)
			continue
		}
		if dst = endSegment(dst, start, segment, '/'); dst == nil {
			return nil, badRequest("path above the root")
		}
		segment = len(dst)
	}
	if dst = endSegment(dst, start, segment, 0); dst == nil {
		return nil, badRequest("path above the root")
	}
	return dst, nil
}

// endSegment resolves the segment dst[segment:] and appends the slash that follows it, if one does. dst[:segment] ends
// with a slash. nil: the path leaves the root.
func endSegment(dst []byte, start, segment int, slash byte) []byte {
	switch string(dst[segment:]) {
	case "", ".":
		return dst[:segment]
	case "..":
		if segment-start < 2 {
			return nil
		}
		parent := bytes.LastIndexByte(dst[start:segment-1], '/')
		return dst[:start+parent+1]
	}
	if slash != 0 {
		dst = append(dst, slash)
	}
	return dst
}

// win32Path gives a normalised path the meaning that Windows gives to it when it opens a file: dots and spaces at the end
// of a name do not count. What names a stream or consists of dots alone is an error. It works in place on path.
func win32Path(path []byte) ([]byte, error) {
	if bytes.Contains(path, []byte(":$")) {
		return nil, badRequest("path that names a stream")
	}
	kept, segment := 0, 0
	for i := 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			path[kept] = path[i]
			kept++
			continue
		}
		name := bytes.TrimRight(path[segment:kept], ". ")
		if len(name) == 0 && kept > segment {
			return nil, badRequest("name of dots and spaces in the path")
		}
		kept = segment + len(name)
		if i < len(path) {
			path[kept] = '/'
			kept++
		}
		segment = kept
	}
	return path[:kept], nil
}

func isHex(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	default:
		return c&^0x20 - 'A' + 10
	}
}
