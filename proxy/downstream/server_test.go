package downstream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/downstream"
	"spillway/proxy/routing"
)

// handlerFunc is a proxy.Handler.
type handlerFunc func(ex *proxy.Exchange) error

func (f handlerFunc) Serve(ex *proxy.Exchange) error { return f(ex) }

// hello answers with a small text.
func hello(ex *proxy.Exchange) error {
	ex.Response.SetStatusCode(200)
	ex.Bytes = helloText
	ex.Length = int64(len(helloText))
	return nil
}

var helloText = []byte("hello\n")

// front is a Front with one location for everything. Lines gets a line for each finished exchange.
func front(tb testing.TB, handler handlerFunc, log *slog.Logger, observers ...func(*proxy.Exchange)) func() *proxy.Front {
	tb.Helper()
	var b routing.Builder[*proxy.Route]
	site, err := b.Server([]string{"_"}, true)
	if err != nil {
		tb.Fatal(err)
	}
	route := &proxy.Route{Site: &proxy.Site{Name: "test"}, Path: "/", Handler: handler}
	small := &proxy.Route{Site: route.Site, Path: "/small/", Handler: handler, MaxBody: 4}
	if err := site.Location(routing.Pattern{Path: small.Path}, small); err != nil {
		tb.Fatal(err)
	}
	if err := site.Location(routing.Pattern{Path: "/"}, route); err != nil {
		tb.Fatal(err)
	}
	f, err := proxy.New(proxy.Options{Routes: b.Build(), Log: log, Observers: observers})
	if err != nil {
		tb.Fatal(err)
	}
	return func() *proxy.Front { return f }
}

// server is a Listener that is running until the end of the test.
type server struct {
	*downstream.Listener

	tb   testing.TB
	addr string
	log  *logLines
	dial func() (net.Conn, error)
}

func start(tb testing.TB, handler handlerFunc, options func(*downstream.Options), observers ...func(*proxy.Exchange)) *server {
	tb.Helper()
	ln, err := downstream.Listen("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := startOn(tb, ln, handler, options, observers...)
	s.dial = func() (net.Conn, error) { return net.Dial("tcp", s.addr) }
	return s
}

func startOn(tb testing.TB, ln net.Listener, handler handlerFunc, options func(*downstream.Options), observers ...func(*proxy.Exchange)) *server {
	tb.Helper()
	lines := &logLines{}
	log := slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	opts := downstream.Options{Listener: ln, Front: front(tb, handler, log, observers...), Log: log}
	if allSecured {
		opts.TLS = serverTLS(tb)
	}
	if options != nil {
		options(&opts)
	}
	l, err := downstream.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve() }() // ends at Shutdown, which the cleanup calls
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return &server{Listener: l, tb: tb, addr: ln.Addr().String(), log: lines}
}

// logLines collects what is logged.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// client is a raw connection to a server.
type client struct {
	net.Conn

	tb testing.TB
	r  *bufio.Reader
}

func (s *server) connect() *client {
	s.tb.Helper()
	c, err := s.dial()
	if err != nil {
		s.tb.Fatal(err)
	}
	if allSecured {
		secured := tls.Client(c, clientTLS())
		if err := secured.Handshake(); err != nil {
			s.tb.Fatal(err)
		}
		c = secured
	}
	s.tb.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // the bound of a test that fails
	return &client{Conn: c, tb: s.tb, r: bufio.NewReader(c)}
}

func (c *client) send(text string) *client {
	c.tb.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.tb.Fatal(err)
	}
	return c
}

// reset closes the connection with a reset.
func (c *client) reset() {
	raw := c.Conn
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	_ = raw.(*net.TCPConn).SetLinger(0)
	raw.Close()
}

// response reads one response.
func (c *client) response(method string) (status int, body string, header http.Header) {
	c.tb.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.tb.Fatalf("read response: %v", err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.tb.Fatalf("read body: %v", err)
	}
	header = resp.Header
	if resp.Close {
		header.Set("Closed", "yes")
	}
	return resp.StatusCode, string(b), header
}

// all reads until the server closes.
func (c *client) all() string {
	c.tb.Helper()
	b, err := io.ReadAll(c.r)
	if err != nil {
		c.tb.Fatalf("read: %v", err)
	}
	return string(b)
}

// closed fails unless the server has closed the connection.
func (c *client) closed() {
	c.tb.Helper()
	if b, err := c.r.ReadByte(); !errors.Is(err, io.EOF) {
		c.tb.Errorf("got %q, %v, want the end of the connection", b, err)
	}
}

// do sends a request on a new connection and returns what comes until its end.
func (s *server) do(request string) string {
	s.tb.Helper()
	c := s.connect()
	defer c.Close()
	c.send(request)
	return c.all()
}
