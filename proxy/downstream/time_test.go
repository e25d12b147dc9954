package downstream_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

// pipes is a listener in memory.
type pipes struct {
	clients chan net.Conn
	closed  chan struct{}
	once    sync.Once
	failing chan error // errors of Accept, taken first
}

func newPipes() *pipes {
	return &pipes{clients: make(chan net.Conn), closed: make(chan struct{}), failing: make(chan error, 100)}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case err := <-p.failing:
		return nil, err
	default:
	}
	select {
	case c := <-p.clients:
		return c, nil
	case err := <-p.failing:
		return nil, err
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) dial() (net.Conn, error) {
	ours, theirs := net.Pipe()
	p.clients <- theirs
	return ours, nil
}

// bubbled is the T of a test in a bubble.
type bubbled struct{ *testing.T }

// bubble runs a test in which time is simulated.
func bubble(t *testing.T, test func(t bubbled)) {
	t.Helper()
	var h fasthttp.ResponseHeader
	h.AppendBytes(nil) // starts fasthttp's clock, which never ends, outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { <-time.After(time.Minute) }) // clients that send slowly learn in it that they need not go on
		test(bubbled{t})
	})
}

// startInMemory starts a server for use in a bubble.
func startInMemory(t bubbled, p *pipes, handler handlerFunc) *server {
	t.Helper()
	s := startOn(t.T, p, handler, nil)
	s.dial = p.dial
	return s
}

// patient takes the deadline of a client away, for tests in which time is simulated.
func (s *server) patient() *client {
	c := s.connect()
	_ = c.SetDeadline(time.Time{})
	return c
}

// within fails unless d is close to want: the sweeper comes by four times a second.
func within(t bubbled, what string, d, want time.Duration) {
	t.Helper()
	if d < want-time.Second || d > want+time.Second {
		t.Errorf("%s: took %v, want %v", what, d, want)
	}
}

func TestTimeouts_Head(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), hello)
		c, began := s.patient(), time.Now()
		c.closed() // nothing sent, nothing said
		within(t, "silent client", time.Since(began), 15*time.Second)

		c, began = s.patient(), time.Now()
		go func() { // a byte every 10 seconds; ends when the server closes
			for _, b := range []byte("GET / HTTP/1.1\r\n") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(10 * time.Second)
			}
		}()
		if status, _, header := c.response("GET"); status != 408 || header.Get("Closed") == "" {
			t.Errorf("got %d %v, want 408 and a close", status, header)
		}
		within(t, "slow head", time.Since(began), 15*time.Second)
		c.closed()
	})
}

func TestTimeouts_BeginWithServe(t *testing.T) {
	bubble(t, func(t bubbled) {
		p, log := newPipes(), slog.New(slog.DiscardHandler)
		l, err := downstream.New(downstream.Options{Listener: p, Front: front(t, hello, log), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour) // the backends take their time
		go l.Serve()            // ends with the Shutdown below
		c, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		cl := &client{Conn: c, tb: t, r: bufio.NewReader(c)}
		cl.send(getHello).response("GET")
		c.Close()
		if err := l.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTimeouts_Keepalive(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), hello)
		c := s.patient()
		c.send(getHello).response("GET")
		<-time.After(70 * time.Second)
		c.send(getHello).response("GET")
		began := time.Now()
		c.closed()
		within(t, "idle client", time.Since(began), 75*time.Second)
	})
}

func TestListener_UpdateChangesWhatItServes(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), hello)
		waits, goesOn := s.patient(), s.patient()
		waits.send(getHello).response("GET")
		goesOn.send(getHello).response("GET")
		synctest.Wait() // both wait
		s.Update(downstream.Limits{KeepaliveTimeout: 100 * time.Millisecond, KeepaliveRequests: 3})

		goesOn.send(getHello).response("GET")
		began := time.Now()
		goesOn.closed()
		within(t, "wait after the change", time.Since(began), 100*time.Millisecond)
		waits.closed()
		within(t, "wait before the change", time.Since(began), 75*time.Second)

		c := s.patient()
		for range 2 {
			c.send(getHello).response("GET")
		}
		if _, _, header := c.send(getHello).response("GET"); header.Get("Closed") == "" {
			t.Errorf("got %v for the third request, want a close", header)
		}
	})
}

func TestTimeouts_Body(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), describe)
		c, began := s.patient(), time.Now()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
		if status, _, _ := c.response("POST"); status != 408 {
			t.Errorf("got %d, want 408", status)
		}
		within(t, "stuck body", time.Since(began), 60*time.Second)

		c, began = s.patient(), time.Now()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
		go func() { // a byte a second; ends when the server closes
			for {
				if _, err := c.Write([]byte{'x'}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		if status, _, _ := c.response("POST"); status != 408 {
			t.Errorf("got %d, want 408", status)
		}
		within(t, "slow body", time.Since(began), 10*time.Second)

		steady := s.patient()
		steady.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
		for range 60 { // 1000 bytes a second are slow, but nobody's attack
			<-time.After(time.Second)
			steady.send(strings.Repeat("x", 1000))
		}
		if status, _, _ := steady.response("POST"); status != 200 {
			t.Errorf("got %d, want 200", status)
		}
	})
}

func TestTimeouts_Send(t *testing.T) {
	bubble(t, func(t bubbled) {
		done := make(chan error, 1)
		big := strings.Repeat("x", 1<<20)
		handler := streamed(1<<20, &content{pieces: []string{big}, closed: func(err error) { done <- err }})
		s := startInMemory(t, newPipes(), handler)
		c, began := s.patient(), time.Now()
		c.send(getHello)
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		within(t, "client that does not read", time.Since(began), 60*time.Second)
		c.Close()

		c, began = s.patient(), time.Now()
		c.send(getHello)
		buf := make([]byte, 4096)
		for range 256 { // 1 KiB a second: one write takes several send timeouts
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			<-time.After(4 * time.Second)
		}
		c.Close()
		<-done
	})
}

func TestWatch_ClientLeaves(t *testing.T) {
	bubble(t, func(t bubbled) {
		gone := make(chan struct{})
		s := startInMemory(t, newPipes(), func(ex *proxy.Exchange) error {
			left := make(chan struct{})
			ex.OnGone(func() { close(left) })
			<-left
			ex.OnGone(nil)
			close(gone)
			return &proxy.StatusError{Code: proxy.StatusClientGone, Cause: proxy.CauseClientGone}
		})
		c := s.patient()
		c.send(getHello)
		synctest.Wait()
		c.Close()
		<-gone // or the bubble is a deadlock
	})
}

func TestWatch_EarlyRequestIsServed(t *testing.T) {
	slow := func(ex *proxy.Exchange) error {
		<-time.After(2 * time.Second)
		if ex.Gone() {
			return errors.New("client taken for gone")
		}
		return describe(ex)
	}
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), slow)
		c := s.patient()
		c.send(getHello)
		<-time.After(time.Second) // the client is watched by now
		sent := make(chan struct{})
		go func() { // ends when the server has read all, which is after the first response
			defer close(sent)
			c.send("POST /second HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		}()
		if status, _, _ := c.response("GET"); status != 200 {
			t.Errorf("got %d, want 200", status)
		}
		if status, body, _ := c.response("GET"); status != 200 || !strings.HasSuffix(body, "body=hello") {
			t.Errorf("got %d %q", status, body)
		}
		<-sent
		for range 3 { // nothing is left of the watch
			c.send(getHello).response("GET")
		}
	})
}

func TestListener_Shutdown(t *testing.T) {
	bubble(t, func(t bubbled) {
		running, finish := make(chan struct{}), make(chan struct{})
		s := startInMemory(t, newPipes(), func(ex *proxy.Exchange) error {
			if string(ex.Path) == "/slow" {
				close(running)
				<-finish
			}
			return hello(ex)
		})
		idle, fresh, busy := s.patient(), s.patient(), s.patient()
		idle.send(getHello).response("GET")
		busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
		<-running
		synctest.Wait() // the client has its response a little before the server has finished
		if got := s.Stats(); got.Active != 3 || got.Writing != 1 || got.Waiting != 2 {
			t.Errorf("got %+v", got)
		}
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }() // ends with the last connection
		idle.closed()
		fresh.closed()
		close(finish)
		if status, _, header := busy.response("GET"); status != 200 || header.Get("Closed") == "" {
			t.Errorf("got %d %v, want 200 and a close", status, header)
		}
		busy.closed()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestListener_ShutdownCuts(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), func(ex *proxy.Exchange) error {
			left := make(chan struct{})
			ex.OnGone(func() { close(left) })
			<-left
			return &proxy.StatusError{Code: proxy.StatusClientGone}
		})
		c := s.patient()
		c.send(getHello)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want a timeout", err)
		}
		c.closed()
	})
}

func TestListener_SurvivesAcceptErrors(t *testing.T) {
	bubble(t, func(t bubbled) {
		p := newPipes()
		for range 20 {
			p.failing <- &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", errors.New("too many open files"))}
		}
		s := startInMemory(t, p, hello)
		c := s.patient()
		if status, _, _ := c.send(getHello).response("GET"); status != 200 {
			t.Errorf("got %d, want 200", status)
		}
		c.Close()
		if got := s.Stats().AcceptErrors; got != 20 {
			t.Errorf("got %d errors, want 20", got)
		}
		if got := strings.Count(s.log.String(), "accept failed"); got != 1 {
			t.Errorf("got %d log lines, want 1", got)
		}
	})
}
