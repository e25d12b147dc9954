//go:build !race

package downstream_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"spillway/proxy"
)

// With the race detector a sync.Pool drops at random, so that the numbers mean nothing.
func TestListener_ExchangeDoesNotAllocate(t *testing.T) {
	if allSecured {
		t.Skip("the client and both layers allocate")
	}
	pieces := &content{raw: helloText}
	chunks := func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(200)
		ex.Content, ex.Length = pieces, -1
		return nil
	}
	sink := make([]byte, 100)
	upload := func(ex *proxy.Exchange) error {
		for {
			if _, err := ex.Body.Read(sink); errors.Is(err, io.EOF) {
				return hello(ex)
			} else if err != nil {
				return err
			}
		}
	}
	for _, tt := range []struct {
		name, request, end string
		handler            handlerFunc
		want               float64
	}{
		{"small", getHello, "hello\n", hello, 0},
		{"streamed", getHello, "\r\n0\r\n\r\n", chunks, 0},
		{"upload", "POST /a%20b/../c?d HTTP/1.1\r\nHost: A:80\r\nContent-Length: 5\r\n\r\nhello", "hello\n", upload, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, tt.handler, nil)
			c := s.connect()
			request, end, buf := []byte(tt.request), []byte(tt.end), make([]byte, 4096)
			n := testing.AllocsPerRun(200, func() {
				if _, err := c.Write(request); err != nil {
					t.Fatal(err)
				}
				for got := 0; got == 0 || !bytes.HasSuffix(buf[:got], end); {
					n, err := c.Read(buf[got:])
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
			})
			if n > tt.want {
				t.Errorf("got %v allocations, want %v", n, tt.want)
			}
		})
	}
}
