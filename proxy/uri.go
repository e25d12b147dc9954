package proxy

import (
	"bytes"
	"errors"
	"strings"
)

// errUnsafeURI is the error of a URI that a peer must not lead to: nginx's ngx_http_parse_unsafe_uri.
var errUnsafeURI = errors.New("unsafe URI")

// parseURI splits a URI of a redirect into its path, decoded, and its query. With errUnsafeURI, for a path that is empty, leads
// up or has a zero byte, both are there, too.
func parseURI(uri string) (path, query []byte, err error) {
	encoded, args, _ := strings.Cut(uri, "?")
	path = unescape([]byte(encoded))
	if len(path) == 0 || bytes.IndexByte(path, 0) >= 0 || leadsUp([]byte(encoded)) || leadsUp(path) {
		err = errUnsafeURI
	}
	return path, []byte(args), err
}

// leadsUp says whether a segment of the path is two dots. A backslash separates segments on Windows, so it does everywhere.
func leadsUp(path []byte) bool {
	for segment := range bytes.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		if string(segment) == ".." {
			return true
		}
	}
	return false
}

// unescape decodes the path in place. A percent sign that begins no code stays.
func unescape(path []byte) []byte {
	to := 0
	for from := 0; from < len(path); from++ {
		c := path[from]
		if c == '%' && from+2 < len(path) {
			high, low := unhex(path[from+1]), unhex(path[from+2])
			if high >= 0 && low >= 0 {
				c = byte(high<<4 | low)
				from += 2
			}
		}
		path[to] = c
		to++
	}
	return path[:to]
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	default:
		return -1
	}
}

// appendEscaped appends a path, encoding what nginx encodes in the URI of a request to a peer.
func appendEscaped(dst, path []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range path {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#%<>?\\^`{|}", c) >= 0 {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		} else {
			dst = append(dst, c)
		}
	}
	return dst
}
