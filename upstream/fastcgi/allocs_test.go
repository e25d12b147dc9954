//go:build !race

package fastcgi_test

import (
	"bufio"
	"bytes"
	"net"
	"testing"

	"spillway/upstream"
	"spillway/upstream/fastcgi"
)

// The peer counts as well, so it is one that allocates nothing.
func TestProtocol_SmallExchangeDoesNotAllocate(t *testing.T) {
	wire := []byte(stdout("Status: 200 OK\r\nContent-Type: a/b\r\n\r\nhello") + end())
	lastRecord := []byte(record(5, "", 0))
	address := serve(t, func(conn net.Conn, _ *bufio.Reader) {
		buf := make([]byte, 4096)
		for have := 0; ; {
			n, err := conn.Read(buf[have:])
			if err != nil {
				return
			}
			if have += n; bytes.HasSuffix(buf[:have], lastRecord) {
				have = 0
				_, _ = conn.Write(wire)
			}
		}
	})
	p := fastcgi.New(fastcgi.Options{KeepConn: true})
	conn := lease(t, p, address)
	defer conn.Release(upstream.Spent)
	req, resp := post("body"), newResponse(4096, nil)
	req.Fields = req.Header.All()
	got := testing.AllocsPerRun(200, func() {
		resp.Header.Reset()
		resp.Reset()
		err := p.Send(conn, req)
		if err == nil {
			err = p.Receive(conn, resp)
		}
		if err != nil || !resp.Complete || !resp.Reusable || string(resp.Prefix) != "hello" {
			t.Fatalf("got %v, complete %v, reusable %v, prefix %q", err, resp.Complete, resp.Reusable, resp.Prefix)
		}
	})
	if got > 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
