package downstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

// twoWay is the writer of a response with status 101.
type twoWay interface {
	io.ReadWriter
	Switch() error
	CloseWrite()
	Interrupt()
}

// switching answers 101, and gives the client to a function.
func switching(tunnel func(client twoWay) error) handlerFunc {
	return func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(101)
		ex.Response.Set("Connection", "upgrade")
		ex.Response.Set("Upgrade", "echo")
		ex.Content, ex.Length = tunnelContent(tunnel), -1
		return nil
	}
}

type tunnelContent func(client twoWay) error

func (c tunnelContent) Read([]byte) (int, error) { return 0, errors.New("read by nobody") }

func (c tunnelContent) WriteTo(w io.Writer) (int64, error) {
	client, ok := w.(twoWay)
	if !ok {
		return 0, errors.New("the writer cannot be read")
	}
	if err := client.Switch(); err != nil {
		return 0, err
	}
	return 0, c(client)
}

func (c tunnelContent) Close(error) error { return nil }

// echo sends everything back, until the client ends.
func echo(client twoWay) error {
	_, err := io.Copy(struct{ io.Writer }{client}, struct{ io.Reader }{client})
	return err
}

const (
	upgradeRequest = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	upgradeHead    = "HTTP/1.1 101 Switching Protocols\r\nServer: spillway\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
)

func TestTunnel_BeginsWithWhatCameBehindTheHead(t *testing.T) {
	observe, seen := records()
	s := start(t, switching(echo), nil, observe)
	c := s.connect().send(upgradeRequest + "early, ")
	head := make([]byte, len(upgradeHead))
	if _, err := io.ReadFull(c.r, head); err != nil || withoutDate(string(head)) == "" {
		t.Fatal(err)
	}
	c.send("late")
	closeWrite(t, c)
	got := withoutDate(string(head) + c.all())
	if want := upgradeHead + "early, late"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	rec := <-seen
	if rec.status != 101 || rec.body != 11 || rec.truncated || rec.sent < int64(len(upgradeHead)+11) {
		t.Errorf("got %+v, want a whole 101 with 11 bytes behind its head", rec)
	}
}

// TestTunnel_AfterTheWatch: a client that was being watched had sent a byte, which the watch has read.
func TestTunnel_AfterTheWatch(t *testing.T) {
	bubble(t, func(t bubbled) {
		early := make(chan struct{})
		handler := switching(echo)
		s := startInMemory(t, newPipes(), func(ex *proxy.Exchange) error {
			<-time.After(time.Second)
			close(early)
			<-time.After(time.Second)
			return handler(ex)
		})
		c := s.patient().send(upgradeRequest)
		<-early
		c.send("x")
		head := make([]byte, len(upgradeHead)+len("Date: Sat, 28 Nov 2026 00:00:00 GMT\r\n"))
		if _, err := io.ReadFull(c.r, head); err != nil {
			t.Fatal(err)
		}
		got := string(head[len(head)-4:]) + string(mustRead(t, c.r, 1))
		c.send("y")
		if got += string(mustRead(t, c.r, 1)); got != "\r\n\r\nxy" {
			t.Errorf("got %q, want xy behind the head", got)
		}
		c.Close()
	})
}

func mustRead(t bubbled, r *bufio.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTunnel_OnlyForWhoAsks: a 101 that the client has not asked for does not reach it.
func TestTunnel_OnlyForWhoAsks(t *testing.T) {
	s := start(t, switching(func(twoWay) error {
		t.Error("there is a tunnel")
		return nil
	}), nil)
	for _, fields := range []string{
		"", "Upgrade: echo\r\n", "Connection: upgrade\r\n", "Connection: close\r\nUpgrade: echo\r\n",
		"Connection: upgrade\r\nUpgrade: h2c\r\n",
	} {
		status, _, _ := s.connect().send("GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n").response("GET")
		if status != 500 {
			t.Errorf("%q: got %d, want 500", fields, status)
		}
	}
}

func TestExchange_Upgrade(t *testing.T) {
	got := make(chan string, 1)
	s := start(t, func(ex *proxy.Exchange) error {
		got <- string(ex.Upgrade)
		for name := range ex.Request.All() {
			if strings.EqualFold(string(name), "Upgrade") || strings.EqualFold(string(name), "Connection") {
				t.Errorf("the request has a field %s", name)
			}
		}
		return hello(ex)
	}, nil)
	f := func(line, fields, want string) {
		t.Helper()
		s.connect().send(line + "\r\nHost: a\r\n" + fields + "\r\n").response("GET")
		if got := <-got; got != want {
			t.Errorf("%s %q: got %q, want %q", line, fields, got, want)
		}
	}
	const get = "GET / HTTP/1.1"
	f(get, "Connection: upgrade\r\nUpgrade: websocket\r\n", "websocket")
	f(get, "Upgrade: websocket\r\nconnection: keep-alive, UPGRADE\r\n", "websocket")
	f(get, "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: a/1, b\r\nUpgrade: c\r\n", "a/1, b, c")
	f("POST / HTTP/1.1", "Connection: upgrade\r\nUpgrade: tcp\r\n", "tcp")
	f(get, "", "")
	f(get, "Upgrade: websocket\r\n", "")
	f(get, "Connection: upgrade\r\n", "")
	f(get, "Connection: upgraded\r\nUpgrade: websocket\r\n", "")
	f("GET / HTTP/1.0", "Connection: upgrade\r\nUpgrade: websocket\r\n", "")
	for _, http := range []string{"h2c", "H2C", "websocket, h2c", "HTTP/2.0", "http/1.1 ,x", "TLS/1.2", "h2"} {
		f(get, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: "+http+"\r\nHTTP2-Settings: AAMAAABkAAQ\r\n", "")
	}
}

// TestUpgrade_RefusedLeavesARequest: what comes behind a request whose upgrade is refused is the next request, with all rules.
func TestUpgrade_RefusedLeavesARequest(t *testing.T) {
	s := start(t, hello, nil)
	c := s.connect().send(upgradeRequest + getHello + "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
	for i, want := range []int{200, 200, 400} {
		if status, _, _ := c.response("GET"); status != want {
			t.Errorf("response %d: got %d, want %d", i, status, want)
		}
	}
	c.closed()
}

// TestShutdown_EndsTunnels: an open tunnel lasts as long as the patience, and then ends in order.
func TestShutdown_EndsTunnels(t *testing.T) {
	opened, ended := make(chan struct{}), make(chan error, 1)
	s := start(t, switching(func(client twoWay) error {
		close(opened)
		err := echo(client)
		ended <- err
		return nil
	}), nil)
	c := s.connect().send(upgradeRequest)
	<-opened
	ctx, cancel := context.WithCancel(t.Context())
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(ctx) }() // ends after cancel
	c.send("still there\n")
	for line := ""; line != "still there\n"; {
		var err error
		if line, err = c.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats(); got.Active != 1 || got.Writing != 1 {
		t.Errorf("got %+v, want the tunnel to be served", got)
	}
	cancel()
	if err := <-ended; !errors.Is(err, proxy.ErrGivenUp) {
		t.Errorf("the tunnel: got %v, want %v", err, proxy.ErrGivenUp)
	}
	c.closed()
	if err := <-shut; !errors.Is(err, context.Canceled) {
		t.Errorf("the shutdown: got %v, want %v", err, context.Canceled)
	}
}

// TestTunnel_OutlivesAllClientTimeouts: silence in a tunnel is the handler's business.
func TestTunnel_OutlivesAllClientTimeouts(t *testing.T) {
	bubble(t, func(t bubbled) {
		p := newPipes()
		s := startOn(t.T, p, switching(echo), func(o *downstream.Options) { o.KeepaliveTimeout = 5 * time.Second })
		s.dial = p.dial
		c := s.patient().send(upgradeRequest)
		for line := "x"; line != "\r\n"; {
			var err error
			if line, err = c.r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Hour)
		c.send("x")
		if got := mustRead(t, c.r, 1); string(got) != "x" {
			t.Errorf("got %q, want x", got)
		}
		c.Close()
	})
}
