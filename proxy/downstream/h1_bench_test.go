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
