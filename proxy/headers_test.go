package proxy_test

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

func TestStrip_LeavesEndToEndFieldsInOrder(t *testing.T) {
	f := func(name, fields, want string) {
		t.Helper()
		h := head(t, fields)
		proxy.Strip(h, func(name []byte) bool { return string(name) == "Proxy" })
		if got := rest(h); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	f("nothing to remove", "X-A: 1\nX-B: 2\nX-A: 3", "X-A: 1, X-B: 2, X-A: 3")
	f("hop-by-hop fields", "X-A: 1\nConnection: keep-alive\nKeep-Alive: 5\nTE: trailers\nUpgrade: h2c\nX-B: 2", "X-A: 1, X-B: 2")
	f("named by Connection", "X-A: 1\nConnection: close, X-A,x-b\nX-B: 2\nX-C: 3", "X-C: 3")
	f("named by several Connection", "Connection: X-A\nX-A: 1\nConnection: X-B\nX-B: 2\nX-C: 3", "X-C: 3")
	f("what decides cannot be named", "Connection: X-Forwarded-For, Authorization, Cookie, Host, If-Match\nX-Forwarded-For: 192.0.2.1\n"+
		"Authorization: Basic x\nIf-Match: y", "X-Forwarded-For: 192.0.2.1, Authorization: Basic x, If-Match: y")
	f("private", "Proxy: http://192.0.2.1\nX-A: 1", "X-A: 1")
	f("an empty name", "Connection: ,, ,\nX-A: 1", "X-A: 1")
	f("the order of several", "X-Forwarded-For: 1\nConnection: close\nX-Forwarded-For: 2\nX-Forwarded-For: 3",
		"X-Forwarded-For: 1, X-Forwarded-For: 2, X-Forwarded-For: 3")
}

// What fasthttp keeps by itself must survive although it is not walked over.
func TestStrip_KeepsHostAndType(t *testing.T) {
	h := head(t, "Content-Type: text/plain\nUser-Agent: tester\nConnection: Host, Content-Type, User-Agent\nCookie: a=1; b=2")
	proxy.Strip(h, func([]byte) bool { return false })
	if got := string(h.Host()) + "|" + string(h.ContentType()) + "|" + string(h.UserAgent()) + "|" + string(h.Peek("Cookie")); got !=
		"example.org|text/plain|tester|a=1; b=2" {
		t.Errorf("got %s", got)
	}
}

func FuzzStrip(f *testing.F) {
	f.Add("close, X-A", "X-A", "1")
	f.Add("Cookie", "cookie", "a=1")
	f.Add(", ,\t", "TE", "")
	isControl := func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
	notInName := func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}
	f.Fuzz(func(t *testing.T, connection, name, value string) {
		if strings.ContainsFunc(connection+value, isControl) || name == "" || strings.ContainsFunc(name, notInName) {
			return // proxy/downstream refuses such a head
		}
		h := &fasthttp.RequestHeader{}
		text := "GET / HTTP/1.1\r\nHost: a\r\nX-First: 1\r\n" + name + ": " + value + "\r\nConnection: " + connection + "\r\n\r\n"
		if h.Read(bufio.NewReader(strings.NewReader(text))) != nil {
			return
		}
		proxy.Strip(h, func([]byte) bool { return false })
		for field := range h.All() {
			if httpfield.HopByHop(field) {
				t.Errorf("%q is still there", field)
			}
		}
	})
}

// head reads a request with the fields, a line each.
func head(t *testing.T, fields string) *fasthttp.RequestHeader {
	t.Helper()
	h := &fasthttp.RequestHeader{}
	text := "GET / HTTP/1.1\r\nHost: example.org\r\n" + strings.ReplaceAll(fields, "\n", "\r\n") + "\r\n\r\n"
	if err := h.Read(bufio.NewReader(strings.NewReader(text))); err != nil {
		t.Fatal(err)
	}
	return h
}

// rest writes the fields but Host.
func rest(h *fasthttp.RequestHeader) string {
	var fields []string
	for name, value := range h.All() {
		if string(name) != "Host" {
			fields = append(fields, string(name)+": "+string(value))
		}
	}
	return strings.Join(fields, ", ")
}
