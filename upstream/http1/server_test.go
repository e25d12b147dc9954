package http1_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/http1"
)

// TestProtocol_TalksToNetHTTP runs against a server that somebody else wrote.
func TestProtocol_TalksToNetHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		all, _ := io.ReadAll(r.Body)
		_, _ = w.Write(all)
	})
	mux.HandleFunc("/duplex", func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "done")
		w.Header().Set("X-Sum", "1")
	})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	proto := http1.New(http1.Options{KeepAlive: true})
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "real", Protocol: proto, Keepalive: 1,
		Peers: []upstream.PeerOptions{{Address: strings.TrimPrefix(server.URL, "http://")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	p := &peer{tb: t, proto: proto, group: group}
	f := func(path string, body []byte, streamed bool, status int, want []byte) {
		t.Helper()
		const patience = 20 * time.Second
		conn, err := group.Peers()[0].Lease(upstream.Timeouts{Connect: patience, Send: patience, Read: patience}, false)
		if err != nil {
			t.Fatal(err)
		}
		req := get("POST")
		req.Target = []byte(path)
		req.Header.Set(fasthttp.HeaderContentType, "application/octet-stream")
		if req.Bytes, req.BodyLength = body, int64(len(body)); streamed {
			req.Body, req.Bytes, req.BodyLength = bytes.NewReader(body), nil, -1
		}
		sendErr := proto.Send(conn, req)
		r := p.receive(conn, "POST")
		fate := upstream.Spent
		if r.err == nil && r.Reusable {
			fate = upstream.Reusable
		}
		conn.Release(fate)
		if r.err != nil || r.Header.StatusCode() != status || r.body != string(want) {
			t.Errorf("%s: got %d, %d bytes, errors %v, %v; want %d, %d bytes",
				path, r.Header.StatusCode(), len(r.body), sendErr, r.err, status, len(want))
		}
	}
	large := bytes.Repeat([]byte("large "), 50000)
	for range 3 {
		f("/echo", nil, false, 200, nil)
		f("/echo", []byte("small"), false, 200, []byte("small"))
		f("/echo", large, false, 200, large)
		f("/echo", large, true, 200, large)
		f("/duplex", bytes.Repeat(large, 20), false, 200, bytes.Repeat(large, 20))
		f("/duplex", bytes.Repeat(large, 20), true, 200, bytes.Repeat(large, 20))
		f("/early", nil, false, 200, []byte("done"))
		f("/refuse", bytes.Repeat(large, 20), true, 413, []byte("too large\n"))
	}
}
