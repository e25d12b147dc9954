package downstream_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/downstream"
	"spillway/upstream/certtest"
)

// allSecured lets all tests of the package go over TLS.
var allSecured = os.Getenv(securedVariable) != ""

const securedVariable = "SPILLWAY_TEST_TLS"

var certificate = sync.OnceValues(func() (tls.Certificate, error) { return certtest.Issue("example.test", nil, nil) })

func serverTLS(tb testing.TB) func() *tls.Config {
	tb.Helper()
	pair, err := certificate()
	if err != nil {
		tb.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	return func() *tls.Config { return config }
}

func clientTLS() *tls.Config {
	return &tls.Config{ServerName: "example.test", InsecureSkipVerify: true}
}

// sendsFiles says whether what a client gets from a file does not pass through memory of ours.
func sendsFiles() bool { return hasLoops && !allSecured }

// TestSecured_PassesAllOtherTests runs the tests of this package once more, over TLS.
func TestSecured_PassesAllOtherTests(t *testing.T) {
	if allSecured {
		t.Skip("this is the run over TLS")
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.skip=^TestSecured")
	again.Env = append(os.Environ(), securedVariable+"=on")
	if output, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

// connectSecured is connect with TLS.
func (s *server) connectSecured(config *tls.Config) *client {
	s.tb.Helper()
	raw, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(20 * time.Second)) // the bound of a test that fails
	c := tls.Client(raw, config)
	return &client{Conn: c, tb: s.tb, r: bufio.NewReader(c)}
}

func startSecured(tb testing.TB, handler handlerFunc, observers ...func(*proxy.Exchange)) *server {
	tb.Helper()
	return start(tb, handler, func(o *downstream.Options) { o.TLS = serverTLS(tb) }, observers...)
}

func TestSecured_TellsTheHandler(t *testing.T) {
	s := startSecured(t, func(ex *proxy.Exchange) error {
		ex.Response.SetStatusCode(200)
		ex.Bytes = fmt.Appendf(nil, "%s %s %s", ex.Scheme, tls.VersionName(ex.TLS.Version), ex.TLS.ServerName)
		return nil
	})
	f := func(highest uint16, want string) {
		t.Helper()
		config := clientTLS()
		config.MaxVersion, config.NextProtos = highest, []string{"h2", "http/1.1"}
		c := s.connectSecured(config)
		for range 3 {
			if _, body, _ := c.send(getHello).response("GET"); body != want {
				t.Errorf("got %q, want %q", body, want)
			}
		}
		if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("got %q, want http/1.1", got)
		}
	}
	f(tls.VersionTLS13, "https TLS 1.3 example.test")
	f(tls.VersionTLS12, "https TLS 1.2 example.test")
}

// TestSecured_RefusesPlainHTTP: with nginx's page, and as a request that has its line in the access log.
func TestSecured_RefusesPlainHTTP(t *testing.T) {
	lines := make(chan string, 10)
	s := startSecured(t, hello, func(ex *proxy.Exchange) {
		lines <- fmt.Sprintf("%s %s %s %d", ex.Scheme, ex.Method, ex.Target, ex.Status())
	})
	f := func(request, status, page, line string) {
		t.Helper()
		raw, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if _, err := io.WriteString(raw, request); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(raw)
		if err != nil || !strings.HasPrefix(string(got), status) || !strings.Contains(string(got), page) {
			t.Errorf("got %q, %v, want %q and %q", got, err, status, page)
		}
		if got := <-lines; got != line {
			t.Errorf("got %q, want %q", got, line)
		}
	}
	f("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n", "\r\n\r\n<html>\r\n"+
		"<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"+
		"<center><h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port</center>\r\n"+
		"<hr><center>spillway</center>\r\n</body>\r\n</html>\r\n", "http GET /x 400")
	if want := "client sent plain HTTP request to HTTPS port"; !strings.Contains(s.log.String(), want) {
		t.Errorf("got %s, want %q in it", s.log, want)
	}
	f("GET / HTTP/3.0\r\n\r\n", "HTTP/1.1 505 ", "", "http GET / 505")
	f("\x01\x02\r\n\r\n", "HTTP/1.1 400 ", "", "http   400")
}

// TestSecured_LogsFailedHandshakes: in nginx's words, and not that of a client that says nothing.
func TestSecured_LogsFailedHandshakes(t *testing.T) {
	f := func(sends, want string) {
		t.Helper()
		s := startSecured(t, hello)
		raw, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		if _, err := io.WriteString(raw, sends); err != nil {
			t.Fatal(err)
		}
		_ = raw.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, raw)
		if err := s.Shutdown(t.Context()); err != nil { // so that all is logged
			t.Error(err)
		}
		got := s.log.String()
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", sends, got, want)
		}
	}
	f("", "")
	f("\x16\x03\x01", `msg="handshake failed" exchange.conn=1 exchange.client=127.0.0.1 exchange.server=127.0.0.1:`)
	f("\x16\x03\x01", `err="peer closed connection in SSL handshake"`)
	f("\x16\x03\x01\x00\x05hello", `err="SSL_do_handshake() failed (tls: `)
	f("\x80\x2e\x01\x00\x02", `err="SSL_do_handshake() failed (tls: unsupported SSLv2 handshake received)"`)
}

// TestSecured_HandshakeHasTheTimeOfAHead: from the accept, and a request has it anew.
func TestSecured_HandshakeHasTheTimeOfAHead(t *testing.T) {
	bubble(t, func(t bubbled) {
		p := newPipes()
		s := startOn(t.T, p, hello, func(o *downstream.Options) { o.TLS = serverTLS(t) })
		f := func(sends string, want time.Duration) {
			t.Helper()
			raw, err := p.dial()
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			<-time.After(5 * time.Second)
			_, _ = io.WriteString(raw, sends)
			_, _ = io.Copy(io.Discard, raw)
			within(t, "handshake", time.Since(began), want)
		}
		f("", 15*time.Second)
		f("\x16\x03\x01", 15*time.Second)
		if want := "client timed out"; strings.Count(s.log.String(), want) != 1 {
			t.Errorf("got %s, want one %q in it", s.log, want)
		}
		raw, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		c := tls.Client(raw, clientTLS())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, _ = io.Copy(io.Discard, c)
		within(t, "head", time.Since(began), 15*time.Second)
	})
}

// recordCounter counts the records that come, and of them the alerts of TLS 1.2, where they are in plain sight.
type recordCounter struct {
	net.Conn

	mu      sync.Mutex
	read    []byte
	lengths []int
}

func (c *recordCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = append(c.read, p[:n]...)
	for len(c.read) >= 5 {
		length := int(c.read[3])<<8 | int(c.read[4])
		if len(c.read) < 5+length {
			break
		}
		if c.read[0] == 23 {
			c.lengths = append(c.lengths, length-17) // the type of the content, and the tag
		}
		c.read = c.read[5+length:]
	}
	return n, err
}

// TestSecured_FillsRecords: a small response is one, and of a large one the last is short, and that of the last chunk.
func TestSecured_FillsRecords(t *testing.T) {
	f := func(handler handlerFunc, short int) {
		t.Helper()
		s := startSecured(t, handler)
		raw, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		counter := &recordCounter{Conn: raw}
		c := tls.Client(counter, clientTLS())
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		cl := &client{Conn: c, tb: t, r: bufio.NewReader(c)}
		cl.send(getHello).response("GET") // and with it the session tickets
		counter.mu.Lock()
		counter.lengths = nil
		counter.mu.Unlock()
		cl.send(getHello).response("GET")
		counter.mu.Lock()
		defer counter.mu.Unlock()
		full := slices.DeleteFunc(slices.Clone(counter.lengths), func(n int) bool { return n < 16<<10 })
		if len(counter.lengths) == 0 || len(counter.lengths)-len(full) > short {
			t.Errorf("got records of %d, want %d short ones", counter.lengths, short)
		}
	}
	f(hello, 1)
	big := strings.Repeat("x", 100<<10)
	f(streamed(100<<10, &content{pieces: []string{big}}), 1)
	f(streamed(-1, &content{raw: []byte(big)}), 2)
}

// TestSecured_NoticesThatTheClientLeaves: behind its farewell comes the end, which the handler is told.
func TestSecured_NoticesThatTheClientLeaves(t *testing.T) {
	running, gone := make(chan struct{}), make(chan struct{})
	s := startSecured(t, func(ex *proxy.Exchange) error {
		left := make(chan struct{})
		ex.OnGone(func() { close(left) })
		ex.Task.Leave()
		close(running)
		<-left
		ex.OnGone(nil)
		close(gone)
		return &proxy.StatusError{Code: proxy.StatusClientGone}
	})
	c := s.connectSecured(clientTLS()).send(getHello)
	<-running
	c.Close()
	select {
	case <-gone:
	case <-time.After(20 * time.Second): // the bound of a test that fails
		t.Fatal("nobody noticed")
	}
}

// TestSecured_IdleClientsHaveNoGoroutine: neither those who have shaken hands and say nothing, nor those between two requests.
func TestSecured_IdleClientsHaveNoGoroutine(t *testing.T) {
	if !hasLoops {
		t.Skip("each client has one")
	}
	s := startSecured(t, hello)
	before := runtime.NumGoroutine()
	const clients = 100
	for i := range clients {
		c := s.connectSecured(clientTLS())
		if err := c.Conn.(*tls.Conn).Handshake(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			c.send(getHello).response("GET")
		}
	}
	awaitIdle(t, s, clients)
	if more := runtime.NumGoroutine() - before; more > clients/4 {
		t.Errorf("got %d goroutines more with %d idle clients", more, clients)
	}
}

// awaitIdle waits until all clients are.
func awaitIdle(t *testing.T, s *server, clients int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.Stats().Waiting < clients; {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v", s.Stats())
		}
		runtime.Gosched()
	}
}

// TestSecured_WaitsAMomentForItsFarewell: a client that does not take it is gone even so.
func TestSecured_WaitsAMomentForItsFarewell(t *testing.T) {
	bubble(t, func(t bubbled) {
		p := newPipes()
		s := startOn(t.T, p, hello, func(o *downstream.Options) { o.TLS = serverTLS(t) })
		raw, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		c := tls.Client(raw, clientTLS())
		cl := &client{Conn: c, tb: t, r: bufio.NewReader(c)}
		cl.send(getHello).response("GET")
		<-time.After(77 * time.Second)
		if got := s.Stats().Active; got != 1 {
			t.Errorf("got %d connections, want one whose farewell waits", got)
		}
		<-time.After(5 * time.Second)
		if got := s.Stats().Active; got != 0 {
			t.Errorf("got %d connections, want none", got)
		}
	})
}
