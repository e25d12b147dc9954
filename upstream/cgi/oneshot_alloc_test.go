//go:build !race

package cgi_test

import (
	"bufio"
	"bytes"
	"net"
	"testing"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// The peer counts as well, so it is one that allocates nothing; it keeps the connection, whose making is not the subject.
func TestOneShot_SmallExchangeDoesNotAllocate(t *testing.T) {
	wire := []byte("HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello")
	p := cgi.NewOneShot(cgi.Params{}, lines)
	conn := connect(t, p, func(conn net.Conn, _ *bufio.Reader) {
		buf := make([]byte, 4096)
		for have := 0; ; {
			n, err := conn.Read(buf[have:])
			if err != nil {
				return
			}
			if have += n; bytes.HasSuffix(buf[:have], []byte("\n\nbody")) {
				have = 0
				_, _ = conn.Write(wire)
			}
		}
	})
	defer conn.Release(upstream.Spent)
	req, resp := request(t, "/", "Host: a", "Accept: b"), response()
	req.Bytes, req.BodyLength = []byte("body"), 4
	req.Fields = req.Header.All()
	resp.Buf = make([]byte, 4096)
	got := testing.AllocsPerRun(200, func() {
		resp.Header.Reset()
		resp.Reset()
		err := p.Send(conn, req)
		if err == nil {
			err = p.Receive(conn, resp)
		}
		if err != nil || !resp.Complete || string(resp.Prefix) != "hello" {
			t.Fatalf("got %v, complete %v, prefix %q", err, resp.Complete, resp.Prefix)
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
