package http1_test

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/http1"
)

// TestProtocol_AllocatesNothing: a small exchange on a kept connection, complete with its head or in two pieces.
func TestProtocol_AllocatesNothing(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: keep-alive\r\nSet-Cookie: a=b\r\nX-Some: field\r\n"
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	for _, tt := range []struct {
		name, raw string
		later     int // bytes that come after the head
	}{
		{"length", head + "Content-Length: 5\r\n\r\nhello", 0},
		{"length in two pieces", head + "Content-Length: 5\r\n\r\nhello", 2},
		{"chunked", head + "Transfer-Encoding: chunked\r\n\r\n" + chunks, 0},
		{"chunked in two pieces", head + "Transfer-Encoding: chunked\r\n\r\n" + chunks, 11},
	} {
		t.Run(tt.name, func(t *testing.T) {
			step := make(chan struct{})
			raw := []byte(tt.raw)
			p := newPeer(t, http1.Options{KeepAlive: true}, func(conn net.Conn) {
				request := make([]byte, 4096)
				for {
					if _, err := conn.Read(request); err != nil {
						return
					}
					_, _ = conn.Write(raw[:len(raw)-tt.later])
					<-step
					_, _ = conn.Write(raw[len(raw)-tt.later:])
				}
			})
			req := get("POST")
			req.Header.Set("User-Agent", "test")
			req.Header.Set("Cookie", "a=b; c=d")
			req.Header.Set("Accept", "*/*")
			req.Set = []upstream.Field{{Name: []byte("X-Real-IP"), Value: []byte("127.0.0.1")}}
			req.Bytes, req.BodyLength = []byte("body"), 4
			req.Fields = req.Header.All()
			resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, 4096)}
			buf := make([]byte, 4096)
			exchange := func() {
				conn := p.lease()
				resp.Reset()
				resp.Header.Reset()
				if err := p.proto.Send(conn, req); err != nil {
					t.Fatal(err)
				}
				err := p.proto.Receive(conn, resp)
				step <- struct{}{}
				for err == nil && !resp.Complete {
					_, err = resp.Body.Read(buf)
				}
				if err != nil && !errors.Is(err, io.EOF) || !resp.Reusable {
					t.Fatal(err)
				}
				conn.Release(upstream.Reusable)
			}
			exchange()
			if got := testing.AllocsPerRun(200, exchange); got > 0 {
				t.Errorf("got %v allocations, want 0", got)
			}
		})
	}
}
