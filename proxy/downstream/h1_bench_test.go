package downstream_test

import (
	"testing"

	"spillway/proxy/downstream"
)

func BenchmarkListener(b *testing.B) {
	s := start(b, hello, func(o *downstream.Options) { o.KeepaliveRequests = 1 << 30 })
	c := s.connect()
	request, buf := []byte(getHello), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListener_Fresh has a new connection for each request; what the client allocates counts as well.
func BenchmarkListener_Fresh(b *testing.B) {
	s := start(b, hello, nil)
	request, buf := []byte("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c, err := s.dial()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
