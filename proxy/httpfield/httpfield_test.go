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

// Each byte is looked at among eight, and among fewer.
func TestValidValue(t *testing.T) {
	for c := range 256 {
		want := c >= ' ' && c != 0x7f || c == '\t'
		for at := range 10 {
			value := []byte("a\t \xff\x80~ abc")
			value[at] = byte(c)
			if got := httpfield.ValidValue(value); got != want {
				t.Errorf("%q: got %v, want %v", value, got, want)
			}
			if cleaned := httpfield.Clean(value, 0); cleaned[at] == byte(c) != want || !httpfield.ValidValue(cleaned) {
				t.Errorf("%#x at %d: cleaned to %q", c, at, cleaned)
			}
		}
	}
	if !httpfield.ValidValue(nil) {
		t.Error("got false for an empty value")
	}
}

func TestCutName(t *testing.T) {
	f := func(line, name, rest string, ok bool) {
		t.Helper()
		gotName, gotRest, gotOK := httpfield.CutName([]byte(line))
		if string(gotName) != name || string(gotRest) != rest || gotOK != ok {
			t.Errorf("%q: got %q, %q, %v", line, gotName, gotRest, gotOK)
		}
	}
	f("A: b:c", "A", " b:c", true)
	f("a:", "a", "", true)
	f(":a", "", "", false)
	f("a", "", "", false)
	f("", "", "", false)
	f("a :b", "", "", false)
	f(" a:b", "", "", false)
}

func TestTrim(t *testing.T) {
	f := func(value, want string) {
		t.Helper()
		if got := httpfield.Trim([]byte(value)); string(got) != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	f("a", "a")
	f(" \t a \tb\t ", "a \tb")
	f(" \t ", "")
	f("", "")
	f("\ra\n", "\ra\n")
}

func BenchmarkValidValue(b *testing.B) {
	value := []byte("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	for b.Loop() {
		if !httpfield.ValidValue(value) {
			b.Fatal("got false")
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
