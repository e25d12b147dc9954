package cgi_test

import (
	"bufio"
	"io"
	"net"
	"testing"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// Whatever a peer sends before it closes: the body is what follows the head, cut to its declared length, or an error when
// there is less.
func FuzzOneShot(f *testing.F) {
	f.Add("Status: 200 OK\nContent-Length: 3\n\nbody", false)
	f.Add("HTTP/1.1 404 Not Found\r\nContent-Length: 30\r\n\r\nbody", false)
	f.Add("A: b\n\nto the end", false)
	f.Add("Status: 304\n\nbody", true)
	f.Fuzz(func(t *testing.T, wire string, isHead bool) {
		p := cgi.NewOneShot(cgi.Params{}, lines)
		conn := connect(t, p, func(conn net.Conn, r *bufio.Reader) {
			_, _ = readLines(r)
			_, _ = io.WriteString(conn, wire)
		})
		defer conn.Release(upstream.Spent)
		if err := p.Send(conn, request(t, "/")); err != nil {
			t.Fatal(err)
		}
		resp := response()
		resp.Buf, resp.Head = make([]byte, 1<<16), isHead
		resp.Reset()
		got, err := "", p.Receive(conn, resp)
		if err == nil {
			var rest []byte
			if !resp.Complete {
				rest, err = io.ReadAll(resp.Body)
			}
			got = string(resp.Prefix) + string(rest)
		}
		want, ok := oneShotBody(wire, isHead)
		if (err == nil) != ok || ok && got != want {
			t.Fatalf("%q: got %q, %v; want %q, good %v", wire, got, err, want, ok)
		}
	})
}

// oneShotBody is the body of an answer that has arrived whole.
func oneShotBody(wire string, isHead bool) (body string, ok bool) {
	resp, n, err := parse(wire, len(wire)+1)
	if n == 0 || err != nil {
		return "", false
	}
	body = wire[n:]
	if status := resp.Header.StatusCode(); isHead || status == 204 || status == 304 {
		return "", true
	}
	if resp.Length < 0 {
		return body, true
	}
	if int64(len(body)) < resp.Length {
		return "", false
	}
	return body[:resp.Length], true
}
