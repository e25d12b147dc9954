package fastcgi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"strings"
	"testing"

	"spillway/upstream"
	"spillway/upstream/fastcgi"
)

// roundTrip sends one request on conn and returns the response with its whole body.
func roundTrip(t *testing.T, p *fastcgi.Protocol, conn *upstream.Conn, req *upstream.Request, lines *[]string) (*upstream.Response, string) {
	t.Helper()
	resp := newResponse(8192, lines)
	resp.Head = string(req.Method) == "HEAD"
	if err := p.Send(conn, req); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if err := p.Receive(conn, resp); err != nil {
		t.Fatalf("Receive: %v", err)
	}
	body, err := readBody(resp)
	if err != nil {
		t.Fatalf("body: %v", err)
	}
	return resp, body
}

// goChild serves net/http/fcgi's side of the protocol.
func goChild(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Host", r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.URL.RawQuery+" "+r.RemoteAddr)
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		for i := range 1 << 15 {
			_, _ = fmt.Fprintf(w, "%063d\n", i)
		}
	})
	done := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(done)
		_ = fcgi.Serve(ln, mux)
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return ln.Addr().String()
}

func TestProtocol_WithGoChild(t *testing.T) {
	p := fastcgi.New(fastcgi.Options{KeepConn: true})
	conn := lease(t, p, goChild(t))
	defer conn.Release(upstream.Spent)
	for _, size := range []int{0, 5, 20_000, 300_000} {
		body := strings.Repeat("x", size)
		req := post(body)
		req.Path, req.Target = []byte("/echo"), []byte("/echo?a=b")
		req.Query = []byte("a=b")
		req.Header.SetHost("example.com")
		req.Set = []upstream.Field{{Name: []byte("X-Forwarded-For"), Value: []byte("192.0.2.9")}}
		resp, got := roundTrip(t, p, conn, req, nil)
		if got != body || resp.Header.StatusCode() != http.StatusCreated || !resp.Reusable {
			t.Errorf("got %d bytes, status %d, reusable %v", len(got), resp.Header.StatusCode(), resp.Reusable)
		}
		if host := string(resp.Header.Peek("X-Host")); host != "example.com 192.0.2.9 a=b 192.0.2.1:4711" {
			t.Errorf("got %q", host)
		}
	}
	req := get()
	req.Path, req.Target = []byte("/big"), []byte("/big")
	if resp, got := roundTrip(t, p, conn, req, nil); len(got) != 2<<20 || !strings.HasSuffix(got, "32767\n") || !resp.Reusable {
		t.Errorf("got %d bytes, reusable %v", len(got), resp.Reusable)
	}
}
