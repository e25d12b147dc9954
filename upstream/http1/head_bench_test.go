package http1

import (
	"bufio"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
)

// BenchmarkHead is what the heads of a small exchange cost, without the connection.
func BenchmarkHead(b *testing.B) {
	p := New(Options{KeepAlive: true})
	b.Run("send", func(b *testing.B) {
		header := &fasthttp.RequestHeader{}
		const head = "GET /bench HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
		if err := header.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
			b.Fatal(err)
		}
		req := &upstream.Request{
			Method: header.Method(), Target: header.RequestURI(), Header: header, Fields: header.All(),
			Set: []upstream.Field{
				{Name: []byte("X-Real-IP"), Value: []byte("127.0.0.1")},
				{Name: []byte("X-Forwarded-For"), Value: []byte("127.0.0.1")},
				{Name: []byte("X-Forwarded-Proto"), Value: []byte("http")},
				{Name: []byte("X-Forwarded-Host"), Value: []byte("localhost")},
			},
		}
		s := stateOf(&upstream.Conn{})
		b.ReportAllocs()
		for b.Loop() {
			s.memory = s.writer.append(s.memory[:0], req, p)
		}
	})
	b.Run("receive", func(b *testing.B) {
		head := []byte("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sat, 28 Nov 2026 05:00:00 GMT\r\nContent-Type: text/plain\r\n" +
			"Content-Length: 1024\r\nCache-Control: no-cache\r\n\r\n")
		c := &upstream.Conn{}
		s := stateOf(c)
		resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}}
		body := make([]byte, 1024)
		b.ReportAllocs()
		for b.Loop() {
			resp.Reset()
			resp.Header.Reset()
			resp.Header.DisableNormalizing()
			resp.Header.SetNoDefaultContentType(true)
			if err := s.head.parse(head[:headEnd(head, 0)]); err != nil {
				b.Fatal(err)
			}
			if err := s.head.deliver(resp); err != nil {
				b.Fatal(err)
			}
			s.body.start(p, c, resp, s)
			if _, err := s.body.prefix(body); err != nil || !resp.Complete {
				b.Fatal(err)
			}
			s.head.clear()
		}
	})
}
