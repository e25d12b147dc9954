package downstream_test

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// FuzzGuard sends raw bytes through the whole of it. Whatever reaches a handler keeps what the guard promises.
func FuzzGuard(f *testing.F) {
	for _, request := range []string{
		getHello,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nHost: b\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nConnection: x, Host\r\nX: 1\r\n\r\n", "\r\n\r\n\r\nGET /%2e%2e HTTP/1.1\r\nHost: a:1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
	} {
		f.Add([]byte(request), uint8(0))
		f.Add([]byte(request), uint8(7))
	}
	var mu sync.Mutex
	var broken []string
	p := newPipes()
	s := startOn(f, p, func(ex *proxy.Exchange) error {
		if problem := promise(ex); problem != "" {
			mu.Lock()
			broken = append(broken, problem)
			mu.Unlock()
		}
		return hello(ex)
	}, nil)
	s.dial = p.dial
	f.Fuzz(func(t *testing.T, raw []byte, cut uint8) {
		c, err := s.dial()
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		group.Go(func() { // ends when the server closes
			_, _ = io.Copy(io.Discard, c)
		})
		group.Go(func() { // ends when all is sent, or the server closes
			defer c.Close()
			for piece := range slices.Chunk(raw, int(cut)+1) {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
			// The server waits for more unless it has refused; the pipe has no way to close one side.
			_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
		})
		group.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(broken) > 0 {
			t.Fatalf("%q: %s", raw, broken)
		}
	})
}

// promise says which of the guard's promises an exchange breaks.
func promise(ex *proxy.Exchange) string {
	hosts := 0
	for name, value := range ex.Request.All() {
		switch {
		case bytes.EqualFold(name, []byte("host")):
			hosts++
		case bytes.ContainsAny(name, "_. \t") || bytes.ContainsAny(value, "\x00\r\n"):
			return "field " + string(name)
		case httpfield.HopByHop(name) && string(value) != "keep-alive" && string(value) != "close":
			if !bytes.EqualFold(value, []byte("keep-alive")) && !bytes.EqualFold(value, []byte("close")) {
				return "hop-by-hop field " + string(name)
			}
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && string(ex.Proto) != "HTTP/1.0":
		return "hosts"
	case len(ex.Path) == 0 || ex.Path[0] != '/' || bytes.Contains(ex.Path, []byte("/../")) || bytes.Contains(ex.Path, []byte("//")):
		return "path " + string(ex.Path)
	case len(ex.Target) == 0 || ex.Target[0] != '/' || bytes.ContainsAny(ex.Target, " #\x00\r\n"):
		return "target " + string(ex.Target)
	case string(ex.Proto) != "HTTP/1.0" && string(ex.Proto) != "HTTP/1.1":
		return "version"
	case bytes.ContainsAny(ex.Host, "/@, \\<>"):
		return "host " + string(ex.Host)
	case ex.Body == nil && ex.BodyLength != 0:
		return "body"
	}
	if ex.Body != nil {
		n, err := io.Copy(io.Discard, ex.Body)
		if err == nil && ex.BodyLength >= 0 && n != ex.BodyLength {
			return "short body without an error"
		}
	}
	return ""
}
