package relay

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/httpfield"
	"spillway/upstream"
	"spillway/upstream/http1"
)

// The methods that read the peer's values are the subject here, so these tests see the internals.

func template(tb testing.TB, text string) *proxy.Template {
	tb.Helper()
	t, err := proxy.CompileTemplate(text)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func replacement(tb testing.TB, from, to string) Replacement {
	tb.Helper()
	return Replacement{From: template(tb, from), To: template(tb, to)}
}

// runWith returns a run that has a peer, for an exchange whose $uri has what no field may have.
func runWith(tb testing.TB, rules FieldRules) *run {
	tb.Helper()
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Scheme: "http", Protocol: http1.New(http1.Options{}), Peers: []upstream.PeerOptions{{Address: "127.0.0.1:9001"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	h, err := New(Options{Group: group, Picker: balancer.NewRoundRobin(), Arena: buffering.NewArena(0), Fields: rules})
	if err != nil {
		tb.Fatal(err)
	}
	r := h.begin(&proxy.Exchange{Path: []byte("/a\r\nb;c"), Host: []byte("site.test"), Response: &fasthttp.ResponseHeader{}})
	r.peer, r.resp.Header = group.Peers()[0], r.ex.Response
	return r
}

func TestRewrite_VariablesBringInNothing(t *testing.T) {
	r := runWith(t, FieldRules{
		Redirects: []Replacement{replacement(t, "/old", "/new$uri")}, CookiePaths: []Replacement{replacement(t, "/old", "$uri")},
	})
	f := func(name, value, want string) {
		t.Helper()
		if got := string(r.rewrite([]byte(name), []byte(value))); got != want {
			t.Errorf("%s: %s: got %q, want %q", name, value, got, want)
		}
	}
	f("Location", "/old/x", "/new/a  b;c/x")
	f("Set-Cookie", "a=b; Path=/old/x", "a=b; Path=/a  b c/x")
}

func TestRewrite_OwnRedirects(t *testing.T) {
	r := runWith(t, FieldRules{OwnRedirects: true})
	f := func(name, value, want string) {
		t.Helper()
		if got := string(r.rewrite([]byte(name), []byte(value))); got != want {
			t.Errorf("%s: %s: got %q, want %q", name, value, got, want)
		}
	}
	f("Location", "http://app/x?y", "/x?y")
	f("Location", "http://127.0.0.1:9001/", "/")
	f("location", "http://127.0.0.1:9001/a", "/a")
	f("Refresh", "3;URL=http://127.0.0.1:9001/a", "3;URL=/a")
	for _, other := range []string{
		"", "/", "http://app", "http://apple/", "https://app/", "http://127.0.0.1:90010/", "http://127.0.0.1:9001", "//app/",
		"http://site.test/?http://app/",
	} {
		f("Location", other, other)
		f("Refresh", other, other)
		f("X-Location", "http://app/", "http://app/")
	}
}

// FuzzRewrite: whatever a peer sends, what becomes of it is a value, and a cookie keeps its name and value and gets no
// attribute that no rule names.
func FuzzRewrite(f *testing.F) {
	rules := FieldRules{
		OwnRedirects: true, Redirects: []Replacement{replacement(f, "http://x/", "http://$host/")},
		CookieDomains: []Replacement{replacement(f, "localhost", ".example.com")},
		CookiePaths:   []Replacement{replacement(f, "/app/", "/")},
		CookieFlags:   []CookieFlags{{Name: "s", Secure: Set, HTTPOnly: Removed, SameSite: Set, SameSiteValue: "Lax"}},
	}
	r := runWith(f, rules)
	for _, seed := range []string{
		"s=1; path=/app/x; domain=.localhost;httponly", "http://app/", "0; url=http://x/y", "", ";", "=;=;=", "s=;SameSite; Secure=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !httpfield.ValidValue(value) { // a protocol has refused it
			return
		}
		for _, name := range []string{"Location", "Refresh"} {
			got := r.rewrite([]byte(name), value)
			if !httpfield.ValidValue(got) {
				t.Errorf("%s: %q became %q", name, value, got)
			}
		}
		before := bytes.Clone(value)
		got := bytes.Clone(r.rewrite([]byte("Set-Cookie"), value))
		if !bytes.Equal(before, value) {
			t.Fatalf("the peer's bytes were changed: %q", value)
		}
		if !httpfield.ValidValue(got) {
			t.Errorf("%q became %q", value, got)
		}
		name, content, _, _ := attribute(value)
		newName, newContent, _, _ := attribute(got)
		if !bytes.Equal(name, newName) || !bytes.Equal(content, newContent) {
			t.Errorf("%q became %q: another cookie", value, got)
		}
		if more := strings.Count(string(got), ";") - strings.Count(string(value), ";"); more > 2 {
			t.Errorf("%q became %q: %d more attributes", value, got, more)
		}
	})
}

// FuzzAccel: whatever a peer asks for by X-Accel fields has a meaning, or does nothing.
func FuzzAccel(f *testing.F) {
	for _, seed := range [][2]string{
		{"X-Accel-Limit-Rate", "100"}, {"x-accel-buffering", "NO"}, {"X-Accel-Redirect", "/x"}, {"X-Accel-Charset", "utf-8"}, {"X-Accel-", ""},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	r := runWith(f, FieldRules{})
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		if !httpfield.ValidName([]byte(name)) || !httpfield.ValidValue(value) {
			return
		}
		r.accel.reset()
		r.ex.LimitRate = 0
		r.resp.Header.Reset()
		r.resp.Header.SetStatusCode(http.StatusOK)
		r.field([]byte(name), value)
		r.resp.Header.SetContentType("text/html")
		r.obey()
		if r.ex.LimitRate < 0 {
			t.Errorf("%s: %q: got a rate of %d", name, value, r.ex.LimitRate)
		}
		if kind := r.resp.Header.ContentType(); !bytes.HasPrefix(kind, []byte("text/html")) || !httpfield.ValidValue(kind) {
			t.Errorf("%s: %q: got the Content-Type %q", name, value, kind)
		}
	})
}
