package httpfield_test

import (
	"strings"
	"testing"

	"spillway/proxy/httpfield"
)

func TestHopByHop(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		for _, spelled := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := httpfield.HopByHop([]byte(spelled)); got != want {
				t.Errorf("%s: got %v, want %v", spelled, got, want)
			}
		}
	}
	for _, name := range []string{
		"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authorization",
	} {
		f(name, true)
	}
	for _, name := range []string{
		"", "Content-Length", "Content-Type", "Host", "Cookie", "Trailers", "T", "Tea", "Upgrades", "Connections", "Vary",
		"Transfer_Encoding", "Accept-Encoding",
	} {
		f(name, false)
	}
}

func TestValidName(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		if got := httpfield.ValidName([]byte(name)); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	f("", false)
	f("X-Some_name.9!#$%&'*+^`|~", true)
	for c := range 256 {
		token := '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' && c < 0x80
		for _, other := range "!#$%&'*+-.^_`|~" {
			token = token || rune(c) == other
		}
		f(string([]byte{'A', byte(c)}), token)
	}
}

func TestValidValue(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c != 0x7f || c == '\t'
		if got := httpfield.ValidValue([]byte{'a', byte(c)}); got != want {
			t.Errorf("%#x: got %v, want %v", c, got, want)
		}
	}
}

func TestNamed(t *testing.T) {
	f := func(list, name string, want bool) {
		t.Helper()
		if got := httpfield.Named([]byte(list), []byte(name)); got != want {
			t.Errorf("%q in %q: got %v, want %v", name, list, got, want)
		}
	}
	f("close", "Close", true)
	f("keep-alive, \tClose ,x", "close", true)
	f("closed, x-close", "close", false)
	f("", "close", false)
	f(",,", "close", false)
}
