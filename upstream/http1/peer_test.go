package http1_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
	"spillway/upstream/http1"
)

// peer is a listener whose connections are answered by a function, and a group that leads there.
type peer struct {
	tb    testing.TB
	proto *http1.Protocol
	group *upstream.Group
}

// newPeer starts a peer; serve gets each connection, which is closed when it returns.
func newPeer(tb testing.TB, opts http1.Options, serve func(net.Conn)) *peer {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { // ends when the listener is closed
		defer close(stopped)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn)
			conn.Close()
		}
	}()
	proto := http1.New(opts)
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "test", Protocol: proto, Peers: []upstream.PeerOptions{{Address: listener.Addr().String()}}, Keepalive: 2,
		KeepaliveRequests: 1 << 30,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		group.Close()
		listener.Close()
		<-stopped
	})
	return &peer{tb: tb, proto: proto, group: group}
}

func (p *peer) lease() *upstream.Conn {
	const patience = 20 * time.Second
	conn, err := p.group.Peers()[0].Lease(upstream.Timeouts{Connect: patience, Send: patience, Read: patience}, false)
	if err != nil {
		p.tb.Fatal(err)
	}
	return conn
}

// response is what came of one exchange.
type response struct {
	*upstream.Response
	body string
	err  error
}

// receive reads a response on conn to its end.
func (p *peer) receive(conn *upstream.Conn, method string) response {
	resp := &upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, 4096), Head: method == "HEAD"}
	resp.Reset()
	resp.Header.DisableNormalizing()
	r := response{Response: resp}
	if r.err = p.proto.Receive(conn, resp); r.err != nil {
		return r
	}
	r.body = string(resp.Prefix)
	if !resp.Complete {
		rest, err := io.ReadAll(resp.Body)
		r.body += string(rest)
		r.err = err
	}
	return r
}

// answered returns what the protocol makes of raw as the answer to a request, the peer closing after it.
func answered(t *testing.T, method, raw string) response {
	t.Helper()
	p := newPeer(t, http1.Options{KeepAlive: true}, func(conn net.Conn) {
		_, _ = bufio.NewReader(conn).ReadString('\n')
		_, _ = conn.Write([]byte(raw))
	})
	conn := p.lease()
	defer conn.Release(upstream.Spent)
	if err := p.proto.Send(conn, get(method)); err != nil {
		t.Fatal(err)
	}
	return p.receive(conn, method)
}

// get returns a request without a body.
func get(method string) *upstream.Request {
	header := &fasthttp.RequestHeader{}
	header.SetHost("a.test")
	return &upstream.Request{Method: []byte(method), Target: []byte("/"), Header: header}
}

// sent returns the bytes that the protocol sends for a request.
func sent(t *testing.T, opts http1.Options, req *upstream.Request) string {
	t.Helper()
	got := make(chan string, 1)
	p := newPeer(t, opts, func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		got <- string(all)
	})
	conn := p.lease()
	err := p.proto.Send(conn, req)
	conn.Release(upstream.Spent)
	if err != nil {
		t.Fatal(err)
	}
	return <-got
}

// wantInvalid checks that an answer is refused with the text.
func wantInvalid(t *testing.T, r response, raw, text string) {
	t.Helper()
	var failure *upstream.Error
	if !errors.As(r.err, &failure) || failure.Kind != upstream.Invalid || !strings.HasPrefix(failure.Text, text) {
		t.Errorf("%.80q: got error %v, want %q", raw, r.err, text)
	}
}
