package upstreamtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
)

// patience is how long the contract waits for what must come, and hurry for what must not.
const (
	patience = 20 * time.Second
	hurry    = 150 * time.Millisecond
)

// bufferSize is the Response.Buf of the contract, nginx's default for a page of 4 KiB.
const bufferSize = 4096

// client sends requests to a Server through a Protocol.
type client struct {
	t        *testing.T
	protocol upstream.Protocol
	group    *upstream.Group
	timeouts upstream.Timeouts
}

// newClient returns a client for the peer at addr; its connections are closed when the test ends.
func newClient(t *testing.T, protocol upstream.Protocol, addr string) *client {
	t.Helper()
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "contract", Scheme: "contract", Protocol: protocol,
		Peers:     []upstream.PeerOptions{{Address: addr}},
		Keepalive: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(group.Close)
	return &client{
		t: t, protocol: protocol, group: group,
		timeouts: upstream.Timeouts{Connect: patience, Send: patience, Read: patience},
	}
}

// exchange is one request and its response.
type exchange struct {
	t      *testing.T
	conn   *upstream.Conn
	resp   *upstream.Response
	reused bool
	stderr []byte

	body []byte // read so far
	err  error  // how the exchange failed; nil when the body is complete
	head bool   // the head was received
}

// newRequest returns a request as the relay would make it.
func newRequest(method, target string, body []byte) *upstream.Request {
	path, query, _ := bytes.Cut([]byte(target), []byte{'?'})
	header := &fasthttp.RequestHeader{}
	header.SetMethod(method)
	header.SetRequestURI(target)
	header.SetHost("contract.test")
	return &upstream.Request{
		Method: []byte(method), Target: []byte(target), Path: path, Query: query, Header: header,
		Bytes: body, BodyLength: int64(len(body)),
		Proto: []byte("HTTP/1.1"), Scheme: "http",
		RemoteAddr: "127.0.0.1", RemotePort: "40000", ServerAddr: "127.0.0.1", ServerPort: "8080",
		ServerName: "contract.test",
	}
}

// do makes a whole exchange and releases its connection.
func (c *client) do(req *upstream.Request) *exchange {
	c.t.Helper()
	x := c.begin(req)
	x.finish()
	return x
}

// begin sends the request and receives the head.
func (c *client) begin(req *upstream.Request) *exchange {
	c.t.Helper()
	x := &exchange{t: c.t}
	x.conn, x.err = c.group.Peers()[0].Lease(c.timeouts, false)
	if x.err != nil {
		return x
	}
	x.reused = x.conn.Reused()
	x.resp = &upstream.Response{
		Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, bufferSize), Head: string(req.Method) == "HEAD",
		Stderr: func(line []byte) { x.stderr = append(x.stderr, line...) },
	}
	x.resp.Reset()
	x.resp.Header.DisableNormalizing()
	sendErr := c.protocol.Send(x.conn, req)
	if sendErr != nil && !mayHaveAnswered(sendErr) {
		x.err = sendErr
		return x
	}
	if x.err = c.protocol.Receive(x.conn, x.resp); x.err != nil {
		return x
	}
	x.head = true
	x.body = append(x.body, x.resp.Prefix...)
	return x
}

// mayHaveAnswered says whether Receive is worth a try after an error of Send, by the rule of upstream.Protocol.
func mayHaveAnswered(err error) bool {
	var failure *upstream.Error
	return errors.As(err, &failure) && failure.Phase == upstream.Sending && failure.Kind == upstream.Failed
}

// readTo reads the body until n bytes are there.
func (x *exchange) readTo(n int) {
	x.t.Helper()
	for len(x.body) < n && x.err == nil && !x.resp.Complete {
		x.read()
	}
	if len(x.body) < n {
		x.t.Fatalf("got %d bytes of the body (error %v), want %d", len(x.body), x.err, n)
	}
}

func (x *exchange) read() {
	var p [3000]byte // not a divisor of anything
	n, err := x.resp.Body.Read(p[:])
	x.body = append(x.body, p[:n]...)
	x.err = err
}

// finish reads the rest of the body and releases the connection.
func (x *exchange) finish() {
	x.t.Helper()
	if x.conn == nil {
		return
	}
	fate := x.drain()
	x.conn.Release(fate)
	x.conn = nil
}

// drain reads the rest of the body and says what is to become of the connection.
func (x *exchange) drain() upstream.Fate {
	x.t.Helper()
	for x.err == nil && !x.resp.Complete {
		x.read()
	}
	if errors.Is(x.err, io.EOF) {
		x.err = nil
	}
	if x.err == nil && x.resp.Reusable {
		return upstream.Reusable
	}
	return upstream.Spent
}

// awaitReadable waits until the peer has sent something on the connection, or closed it.
func awaitReadable(t *testing.T, conn *upstream.Conn) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !conn.Readable() {
		if time.Now().After(deadline) {
			t.Fatal("the peer neither sent nor closed")
		}
	}
}

// refusing returns the address of a peer that refuses connections.
func refusing(t *testing.T, network string) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), network, freeAddress(t, network))
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	return peerAddress(listener.Addr())
}
