package proxy

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
)

// What reads the URI of a peer is the subject here, so this test sees the internals.

// FuzzParseURI: a URI that is let through leads nowhere up, and what a peer gets of it means the same path and ends nowhere else.
func FuzzParseURI(f *testing.F) {
	for _, seed := range []string{
		"/a/b?c=d", "/a%2fb", "/%2e%2e/", "/..", "..", "/...", "/a/..b", "%", "%2", "%zz", "/%00", "?", "", "/a\\..\\b", "/\x80%e4 \"#",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		path, query, err := parseURI(uri)
		if err != nil {
			return
		}
		for segment := range strings.SplitSeq(strings.ReplaceAll(string(path), `\`, "/"), "/") {
			if segment == ".." {
				t.Errorf("%q became %q", uri, path)
			}
		}
		if len(path) == 0 || bytes.IndexByte(path, 0) >= 0 {
			t.Errorf("%q became %q", uri, path)
		}
		if _, args, _ := strings.Cut(uri, "?"); args != string(query) {
			t.Errorf("%q: got the query %q", uri, query)
		}
		escaped := appendEscaped(nil, path)
		for _, c := range escaped {
			if c <= ' ' || c >= 0x7f || c == '?' || c == '#' {
				t.Errorf("%q: a peer gets %q", uri, escaped)
			}
		}
		if back, err := url.PathUnescape(string(escaped)); err != nil || back != string(path) {
			t.Errorf("%q: a peer gets %q, which is %q, want %q", uri, escaped, back, path)
		}
	})
}
