package http1_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/http1"
)

func TestProtocol_SendsTheseBytes(t *testing.T) {
	keep := http1.Options{KeepAlive: true}
	f := func(opts http1.Options, change func(*upstream.Request), want string) {
		t.Helper()
		req := get("GET")
		req.Target = []byte("/p%20q?x=1")
		change(req)
		if got := sent(t, opts, req); got != want {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	}
	f(keep, func(*upstream.Request) {}, "GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\n\r\n")
	f(http1.Options{}, func(*upstream.Request) {}, "GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	f(keep, func(r *upstream.Request) {
		r.Header.Set("Content-Type", "text/plain")
		r.Header.Set("Expect", "100-continue")
		r.Header.Set("Te", "trailers")
		r.Header.Set("Connection", "upgrade")
		r.Header.Set("X-Two", "1")
		r.Header.Set("X-Gone", "1")
		r.Header.Add("X-Two", "2")
		r.Set = []upstream.Field{
			{Name: []byte("HOST"), Value: []byte("b.test")},
			{Name: []byte("x-gone")},
			{Name: []byte("X-New"), Value: []byte("a\r\nb\x00c\td")},
			{Name: []byte("Connection"), Value: []byte("upgrade")},
		}
		r.Method, r.Bytes, r.BodyLength = []byte("POST"), []byte("body"), 4
	}, "POST /p%20q?x=1 HTTP/1.1\r\nHost: b.test\r\nContent-Type: text/plain\r\nX-Two: 1\r\nX-Two: 2\r\n"+
		"X-New: a  b c\td\r\nContent-Length: 4\r\n\r\nbody")
	f(keep, func(r *upstream.Request) { r.Method, r.Target = []byte("PUT"), []byte("/a b\r\nX: y") },
		"PUT /a%20b%0D%0AX:%20y HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n")
	f(keep, func(r *upstream.Request) { r.Header, r.ServerName = nil, "s.test" },
		"GET /p%20q?x=1 HTTP/1.1\r\nHost: s.test\r\n\r\n")
	f(keep, func(r *upstream.Request) { r.Header = &fasthttp.RequestHeader{} },
		"GET /p%20q?x=1 HTTP/1.1\r\nHost: \r\n\r\n")
	f(keep, func(r *upstream.Request) { r.Body, r.BodyLength = strings.NewReader("abcdef"), -1 },
		"GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n0\r\n\r\n")
	f(keep, func(r *upstream.Request) { r.Body, r.BodyLength = strings.NewReader("abcdef"), 5 },
		"GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nabcde")
	for _, opts := range []http1.Options{keep, {}} {
		f(opts, func(r *upstream.Request) { r.Upgrade = []byte("websocket, x\r\ny") },
			"GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket, x  y\r\n\r\n")
	}
	f(http1.Options{KeepAlive: true, Old: true}, func(r *upstream.Request) {
		r.Upgrade, r.Trailers = []byte("websocket"), true
	}, "GET /p%20q?x=1 HTTP/1.0\r\nHost: a.test\r\nConnection: close\r\n\r\n")
	f(keep, func(r *upstream.Request) { r.Trailers = true }, "GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nConnection: TE\r\nTE: trailers\r\n\r\n")
	long := bytes.Repeat([]byte("0123456789"), 20000)
	f(keep, func(r *upstream.Request) { r.Bytes, r.BodyLength = long, int64(len(long)) },
		"GET /p%20q?x=1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 200000\r\n\r\n"+string(long))
}
