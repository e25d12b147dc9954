package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream"
)

const (
	headSize = 16 << 10 // bytes of an answer's head at most, twice nginx's buffer_size
	bodySize = 64 << 10 // bytes of an answer's body that are read at most

	userAgent = "spillway-health"
)

// Probe asks a peer once whether it can serve, until ctx ends. An error says why it cannot; ErrNoVerdict that it is not known.
type Probe func(ctx context.Context, p *upstream.Peer) error

// Request is what a peer is asked: a GET without a body.
type Request struct {
	Path string // with a slash at its beginning; may have a query
	Host string // the Host field; empty is the name or the address of the peer
	// Protocol is how it is asked; nil is HTTP. It should ask the peer to close the connection, which is not used again.
	Protocol upstream.Protocol
	Params   []upstream.Field // CGI variables beside the computed ones
}

// Answer is what a peer answered.
type Answer struct {
	Status int
	Header func(name string) string // the first field of that name, "" without one; those that no client would get may be missing
	Body   []byte                   // its first 64 KiB at most
}

// TCP is a Probe that connects and closes. Some programs end by that (Ruby's FastCGI does) or wait for a request until their own
// timeout.
func TCP(ctx context.Context, p *upstream.Peer) error {
	network, address := p.Endpoint()
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return noSocket(err)
	}
	return conn.Close()
}

// NewProbe returns a Probe that sends r and wants an answer that meets m.
func NewProbe(r Request, m Match) Probe {
	return func(ctx context.Context, p *upstream.Peer) error {
		answer, err := r.Ask(ctx, p)
		if err != nil {
			return err
		}
		return m.check(answer)
	}
}

// Ask sends the request to a peer on a connection of its own, and returns the answer. ctx must have a deadline.
func (r *Request) Ask(ctx context.Context, p *upstream.Peer) (*Answer, error) {
	if r.Protocol == nil {
		return r.askHTTP(ctx, p)
	}
	answer, err := r.askProtocol(ctx, p)
	if failure, ok := errors.AsType[*upstream.Error](err); ok {
		if failure.Status != 0 || errors.Is(failure.Err, upstream.ErrNotServing) {
			return nil, fmt.Errorf("%w: %w", ErrNoVerdict, err)
		}
		return nil, fmt.Errorf("%w while %s", err, failure.Phase)
	}
	return answer, err
}

// askProtocol makes one exchange, as the relay does.
func (r *Request) askProtocol(ctx context.Context, p *upstream.Peer) (*Answer, error) {
	deadline, bounded := ctx.Deadline()
	left := time.Until(deadline)
	if !bounded || left <= 0 {
		return nil, context.DeadlineExceeded
	}
	conn, err := p.Lease(upstream.Timeouts{Connect: left, Send: time.Hour, Read: time.Hour}, true) // ctx ends both
	if err != nil {
		return nil, err
	}
	canceled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.Cancel()
		close(canceled)
	})
	defer func() {
		if !stop() {
			<-canceled // Cancel must not meet whoever has the memory of the connection next
		}
		conn.Release(upstream.Spent)
	}()
	conn.Phase = upstream.Sending
	if err := r.Protocol.Send(conn, r.request(p)); err != nil {
		return nil, err
	}
	conn.Phase = upstream.ReadingHead
	resp := upstream.Response{Header: &fasthttp.ResponseHeader{}, Buf: make([]byte, headSize)}
	resp.Reset()
	if err := r.Protocol.Receive(conn, &resp); err != nil {
		return nil, err
	}
	answer := &Answer{Status: resp.Header.StatusCode()}
	answer.Header = func(name string) string { return string(resp.Header.Peek(name)) }
	answer.Body = append(answer.Body, resp.Prefix...)
	if resp.Complete {
		return answer, nil
	}
	conn.Phase = upstream.ReadingBody
	rest, err := io.ReadAll(io.LimitReader(resp.Body, bodySize))
	answer.Body = append(answer.Body, rest...)
	return answer, err
}

// request is what the protocol sends. As there is no client, spillway is.
func (r *Request) request(p *upstream.Peer) *upstream.Request {
	path, query, _ := bytes.Cut([]byte(r.Path), []byte{'?'})
	host := r.hostFor(p)
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	header := &fasthttp.RequestHeader{}
	header.SetMethod(http.MethodGet)
	header.SetRequestURI(r.Path)
	header.SetHost(host)
	header.SetUserAgent(userAgent)
	return &upstream.Request{
		Method: []byte(http.MethodGet), Target: []byte(r.Path), Path: path, Query: query,
		Header: header, Params: r.Params, Proto: []byte("HTTP/1.1"), Scheme: "http",
		RemoteAddr: "127.0.0.1", RemotePort: "0", ServerAddr: "127.0.0.1", ServerPort: "80", ServerName: name,
	}
}

// hostFor is what the Host field says.
func (r *Request) hostFor(p *upstream.Peer) string {
	network, address := p.Endpoint()
	switch {
	case r.Host != "":
		return r.Host
	case p.Name() != "":
		return p.Name()
	case network == "unix":
		return "localhost"
	default:
		return address
	}
}

// noSocket keeps an error that is ours from being held against the peer.
func noSocket(err error) error {
	if upstream.Exhausted(err) {
		return fmt.Errorf("%w: %w", ErrNoVerdict, err)
	}
	return err
}
