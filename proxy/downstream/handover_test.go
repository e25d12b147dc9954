package downstream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

// hammer asks again and again until stop is closed, each time as soon as it has the response, on one connection as long as
// the server wants it.
type hammer struct {
	addr     string
	stop     chan struct{}
	answered atomic.Int64
	redials  atomic.Int64
	refused  atomic.Int64 // connections that nobody listened for
	lost     atomic.Int64 // requests on a connection that the server ended without a word ...
	fresh    atomic.Int64 // ... and those that were the first on it: it may not have been accepted
	late     atomic.Int64 // ends of connections, none of them a reset, on which this machine let the client wait for so long that it was idle

	mu  sync.Mutex
	why error // the first loss
}

func (h *hammer) run() {
	for {
		select {
		case <-h.stop:
			return
		default:
		}
		c, err := net.DialTimeout("tcp", h.addr, 10*time.Second)
		if err != nil {
			h.refused.Add(1)
			continue
		}
		h.redials.Add(1)
		if allSecured {
			c = tls.Client(c, clientTLS())
		}
		h.useUp(c)
		c.Close()
	}
}

// useUp sends requests until the server says that it closes.
func (h *hammer) useUp(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	sent := time.Now()
	for lost := &h.fresh; ; lost = &h.lost {
		_, err := c.Write([]byte(getHello))
		quiet := time.Since(sent) // at least as long as the server has seen nothing
		sent = time.Now()
		var response *http.Response
		if err == nil {
			response, err = http.ReadResponse(r, nil)
		}
		if err == nil {
			_, err = r.Discard(int(response.ContentLength))
		}
		if errors.Is(err, io.ErrUnexpectedEOF) && quiet > idleAtLeast {
			h.late.Add(1)
			return
		}
		if err != nil {
			lost.Add(1)
			h.mu.Lock()
			h.why = err
			h.mu.Unlock()
			return
		}
		h.answered.Add(1)
		if response.Close {
			return
		}
		select {
		case <-h.stop:
			return
		default:
		}
	}
}

// idleAtLeast is less than how long a connection is quiet before it is closed as idle.
const idleAtLeast = 400 * time.Millisecond

// Whoever has a connection must not notice that a listener is given up: it is closed with a response that says so.
func TestListener_GivenUpUnderLoad(t *testing.T) {
	const clients, times = 64, 3
	s := start(t, hello, nil)
	h := &hammer{addr: s.addr, stop: make(chan struct{})}
	var all sync.WaitGroup
	for range clients {
		all.Go(func() { h.run() })
	}
	for range times {
		for before := h.answered.Load(); h.answered.Load() < before+20*clients; {
			<-time.After(time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		cancel()
		ln, err := downstream.Listen(s.addr)
		if err != nil {
			t.Fatal(err)
		}
		s = startOn(t, ln, hello, nil)
	}
	close(h.stop)
	all.Wait()
	t.Logf("%d answered on %d connections, %d refused, %d and %d lost, %d late",
		h.answered.Load(), h.redials.Load(), h.refused.Load(), h.lost.Load(), h.fresh.Load(), h.late.Load())
	if n, fresh := h.lost.Load(), h.fresh.Load(); n > 0 || fresh > mayMiss() {
		t.Errorf("got %d requests lost, and %d on new connections, the last by %v, want none and %d at most", n, fresh, h.why, mayMiss())
	}
}

func TestListener_ShutdownWaitsForTheNextOfASeries(t *testing.T) {
	bubble(t, func(t bubbled) {
		s := startInMemory(t, newPipes(), hello)
		idle := s.patient()
		idle.send(getHello).response("GET")
		<-time.After(time.Minute)
		busy := s.patient()
		busy.send(getHello).response("GET")
		done := make(chan error, 1)
		go func() { done <- s.Shutdown(context.Background()) }() // ends with the last connection
		idle.closed()                                            // at once
		<-time.After(100 * time.Millisecond)
		if status, _, header := busy.send(getHello).response("GET"); status != 200 || header.Get("Closed") == "" {
			t.Errorf("got %d %v, want 200 and a close", status, header)
		}
		busy.closed()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestListener_RequestThatCrossesACloseIsNotReset(t *testing.T) {
	var served atomic.Int64
	s := start(t, func(ex *proxy.Exchange) error {
		served.Add(1)
		return hello(ex)
	}, func(o *downstream.Options) { o.KeepaliveTimeout = 20 * time.Millisecond })
	c := s.connect()
	c.send(getHello).response("GET")
	c.closed()
	c.send(getHello) // sent before the client has heard of the close, as far as the server can tell
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("got %d, %v, want the end of the stream", n, err)
	}
	if got := served.Load(); got != 1 {
		t.Errorf("got %d requests served, want 1", got)
	}
}
