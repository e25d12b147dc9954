package downstream_test

import (
	"io"
	"testing"

	"spillway/proxy/downstream"
)

const getHello = "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: test\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"

func TestListener_ServesKeepAlive(t *testing.T) {
	s := start(t, hello, nil)
	c := s.connect()
	for range 3 {
		status, body, header := c.send(getHello).response("GET")
		if status != 200 || body != "hello\n" || header.Get("Server") != "spillway" || header.Get("Date") == "" {
			t.Fatalf("got %d %q %v", status, body, header)
		}
	}
	if got := s.Stats(); got.Requests != 3 || got.Accepted != 1 || got.Active != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestListener_ExchangeDoesNotAllocate(t *testing.T) {
	s := start(t, hello, nil)
	c := s.connect()
	c.send(getHello).response("GET")
	request, buf := []byte(getHello), make([]byte, 4096)
	n := testing.AllocsPerRun(200, func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Conn.Read(buf); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkListener(b *testing.B) {
	s := start(b, hello, func(o *downstream.Options) { o.KeepaliveRequests = 1 << 30 })
	c := s.connect()
	request, buf := []byte(getHello), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Conn.Read(buf); err != nil && err != io.EOF {
			b.Fatal(err)
		}
	}
}
