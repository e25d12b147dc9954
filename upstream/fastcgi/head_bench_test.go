package fastcgi

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// BenchmarkHead is what the heads of a small exchange cost, without the connection.
func BenchmarkHead(b *testing.B) {
	b.Run("send", func(b *testing.B) {
		header := &fasthttp.RequestHeader{}
		const head = "GET /bench HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
		if err := header.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
			b.Fatal(err)
		}
		req := &upstream.Request{
			Method: header.Method(), Target: header.RequestURI(), Path: header.RequestURI(), Header: header, Fields: header.All(),
			Set: []upstream.Field{
				{Name: []byte("X-Real-IP"), Value: []byte("127.0.0.1")},
				{Name: []byte("X-Forwarded-For"), Value: []byte("127.0.0.1")},
				{Name: []byte("X-Forwarded-Proto"), Value: []byte("http")},
				{Name: []byte("X-Forwarded-Host"), Value: []byte("localhost")},
			},
			Proto: []byte("HTTP/1.1"), Scheme: "http", RemoteAddr: "127.0.0.1", RemotePort: "40000", ServerAddr: "127.0.0.1", ServerPort: "80",
		}
		p := New(Options{Params: cgi.Params{Software: "spillway/1"}, KeepConn: true})
		r := &request{buf: make([]byte, 0, requestSize)}
		b.ReportAllocs()
		for b.Loop() {
			if err := p.params.Fill(&r.vars, req); err != nil {
				b.Fatal(err)
			}
			r.head(true)
			r.header(typeStdin, 0)
		}
	})
	b.Run("receive", func(b *testing.B) {
		text := "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("x", 1024)
		wire := []byte("\x01\x06\x00\x01" + string([]byte{byte(len(text) >> 8), byte(len(text))}) + "\x00\x00" + text +
			"\x01\x06\x00\x01\x00\x00\x00\x00\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		a := &answer{protocol: New(Options{KeepConn: true}), sent: true}
		c := &upstream.Conn{}
		buf := make([]byte, 4096)
		resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}}
		b.ReportAllocs()
		for b.Loop() {
			resp.Reset()
			resp.Header.Reset()
			resp.Header.DisableNormalizing()
			resp.Header.SetNoDefaultContentType(true)
			a.begin(c, resp)
			from, n, err := a.records.decode(buf[:copy(buf, wire)], nil)
			if err != nil {
				b.Fatal(err)
			}
			size, err := a.head.Parse(resp, buf[from:from+n])
			if err == nil {
				err = a.startBody(buf[from:], size, n, nil)
			}
			if err != nil || !resp.Complete || !resp.Reusable {
				b.Fatal(err)
			}
		}
	})
}
