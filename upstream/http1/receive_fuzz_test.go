package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/http1"
)

// FuzzResponse compares what the protocol makes of an answer with what net/http makes of it, where both accept it.
func FuzzResponse(f *testing.F) {
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: v\r\n\r\n",
		"HTTP/1.0 404 No\nSet-Cookie: a\nSet-Cookie: b\nConnection: keep-alive, x\n\nto the end",
		"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 304 Not\r\nContent-Length: 10\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n",
	} {
		f.Add([]byte(raw), false)
		f.Add([]byte(raw), true)
	}
	answers := make(chan []byte, 1)
	p := newPeer(f, http1.Options{KeepAlive: true}, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write(<-answers)
	})
	f.Fuzz(func(t *testing.T, raw []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		answers <- raw
		conn := p.lease()
		defer conn.Release(upstream.Spent)
		if err := p.proto.Send(conn, get(method)); err != nil {
			t.Fatal(err)
		}
		got := p.receive(conn, method)
		if got.err != nil {
			return
		}
		want, body, err := reference(raw, method)
		if err != nil || want.ProtoMinor == 0 && strings.Contains(strings.ToLower(string(raw)), "transfer-encoding") {
			return // net/http ignores the coding of HTTP/1.0
		}
		if code := got.Header.StatusCode(); code != want.StatusCode || got.body != body {
			t.Fatalf("%q: got %d %q, want %d %q", raw, code, got.body, want.StatusCode, body)
		}
		if got.Reusable && (want.Close && want.ProtoMinor > 0 || got.Excess) {
			t.Fatalf("%q: the connection is reusable", raw)
		}
		for name, values := range want.Header {
			if n := count(got, name); n > len(values) || n > 0 && name == "Connection" {
				t.Fatalf("%q: got %d fields %s, want %q", raw, n, name, values)
			}
		}
	})
}

// FuzzUpgrade compares answers to a request that asks for an upgrade: a 101 is taken only for what was asked, and nothing behind
// its head is lost or taken for HTTP.
func FuzzUpgrade(f *testing.F) {
	for _, raw := range []string{
		"HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nfirst",
		"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 101 S\nupgrade: ECHO\nContent-Length: 5\nX: y\n\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 101 S\r\nUpgrade: chess\r\n\r\n", "HTTP/1.1 101 S\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(raw))
	}
	answers := make(chan []byte, 1)
	p := newPeer(f, http1.Options{KeepAlive: true}, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write(<-answers)
	})
	f.Fuzz(func(t *testing.T, raw []byte) {
		answers <- raw
		conn := p.lease()
		defer conn.Release(upstream.Spent)
		req := get("GET")
		req.Upgrade = []byte("echo, other/2")
		if err := p.proto.Send(conn, req); err != nil {
			t.Fatal(err)
		}
		resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, 4096), Upgrade: req.Upgrade}
		resp.Reset()
		if err := p.proto.Receive(conn, resp); err != nil {
			return
		}
		if status := resp.Header.StatusCode(); resp.Switched != (status == 101) || status < 101 || status == 101 && resp.Body != nil {
			t.Fatalf("%q: got status %d, switched %v", raw, status, resp.Switched)
		}
		if !resp.Switched {
			return
		}
		chosen := strings.ToLower(string(resp.Header.Peek("Upgrade")))
		if chosen != "echo" && chosen != "other/2" || !bytes.Contains(raw, resp.Prefix) || resp.Reusable {
			t.Fatalf("%q: switched to %q, with %q behind the head", raw, chosen, resp.Prefix)
		}
		rest, err := io.ReadAll(conn)
		if got := string(resp.Prefix) + string(rest); err != nil || !strings.HasSuffix(string(raw), got) ||
			!strings.HasSuffix(string(raw[:len(raw)-len(got)]), "\n") {
			t.Fatalf("%q: got %q behind the head, %v", raw, got, err)
		}
	})
}

// reference is the final response in raw as net/http reads it.
func reference(raw []byte, method string) (*http.Response, string, error) {
	r := bufio.NewReader(bytes.NewReader(raw))
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return nil, "", err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode >= 200 {
			return resp, string(body), err
		}
	}
}

func count(r response, name string) int {
	n := 0
	for key := range r.Header.All() {
		if strings.EqualFold(string(key), name) {
			n++
		}
	}
	return n
}
