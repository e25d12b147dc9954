package upstream_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"spillway/upstream"
)

// patience is longer than anything that must come takes; hurry is how long the tests wait for what must not come.
const (
	patience = 20 * time.Second
	hurry    = 50 * time.Millisecond
)

// listener is a peer in the test's hands.
type listener struct {
	t     *testing.T
	group *upstream.Group
	conns chan net.Conn
}

// listen starts a peer whose accepted connections the test takes from conns.
func listen(t *testing.T, opts upstream.GroupOptions) *listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Protocol, opts.Peers = mute{}, []upstream.PeerOptions{{Address: l.Addr().String()}}
	group, err := upstream.NewGroup(opts)
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 16)
	go func() { // ends when the listener is closed
		defer close(conns)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	t.Cleanup(func() {
		group.Close()
		l.Close()
		for conn := range conns {
			conn.Close()
		}
	})
	return &listener{t: t, group: group, conns: conns}
}

func (l *listener) lease(timeouts upstream.Timeouts) *upstream.Conn {
	l.t.Helper()
	conn, err := l.group.Peers()[0].Lease(timeouts, false)
	if err != nil {
		l.t.Fatal(err)
	}
	return conn
}

// long are timeouts that do not end.
func long() upstream.Timeouts {
	return upstream.Timeouts{Connect: patience, Send: patience, Read: patience}
}

// accept returns the peer's end of the next connection; it is closed when the test ends.
func (l *listener) accept() net.Conn {
	l.t.Helper()
	conn := <-l.conns
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

func wantError(t *testing.T, err error, kind upstream.Kind, phase upstream.Phase) {
	t.Helper()
	var failure *upstream.Error
	if !errors.As(err, &failure) || failure.Kind != kind || failure.Phase != phase {
		t.Errorf("got error %#v, want kind %d in phase %q", err, kind, phase)
	}
}

func TestConn_ComesBackLastFirst(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 2, KeepaliveRequests: 3})
	a, b := l.lease(long()), l.lease(long())
	if a.Reused() {
		t.Error("a new connection was reused")
	}
	a.State = "kept"
	a.Release(upstream.Reusable)
	b.Release(upstream.Spent)
	if l.group.Idle() != 1 {
		t.Errorf("got %d idle, want 1", l.group.Idle())
	}
	c := l.lease(long())
	if c != a || !c.Reused() || c.State != "kept" || l.group.Idle() != 0 {
		t.Error("the idle connection did not come back")
	}
	c.Release(upstream.Reusable)
	c = l.lease(long())
	c.Release(upstream.Reusable) // the third request, which is the last
	if got := l.group.Idle(); got != 0 {
		t.Errorf("got %d idle after keepalive_requests, want 0", got)
	}
}

func TestConn_IdleOnesAreBounded(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 1})
	a, b := l.lease(long()), l.lease(long())
	a.Release(upstream.Reusable)
	b.Release(upstream.Reusable)
	if got := l.group.Idle(); got != 1 {
		t.Errorf("got %d idle, want 1", got)
	}
	l.group.Peers()[0].CloseIdle()
	if got := l.group.Idle(); got != 0 {
		t.Errorf("got %d idle, want 0", got)
	}
}

func TestConn_FreshAsksForANewOne(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 1})
	l.lease(long()).Release(upstream.Reusable)
	conn, err := l.group.Peers()[0].Lease(long(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release(upstream.Spent)
	if conn.Reused() || l.group.Idle() != 1 {
		t.Errorf("got reused %v, %d idle, want a new connection", conn.Reused(), l.group.Idle())
	}
}

// TestConn_UnquietIsNotLeased: an idle connection that the peer closed, or sent bytes on, serves nobody.
func TestConn_UnquietIsNotLeased(t *testing.T) {
	for name, spoil := range map[string]func(net.Conn){
		"closed": func(peer net.Conn) { peer.Close() },
		"bytes":  func(peer net.Conn) { _, _ = peer.Write([]byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, upstream.GroupOptions{Keepalive: 1})
			conn := l.lease(long())
			peer := l.accept()
			if conn.Readable() {
				t.Error("a connection is readable on which nothing was sent")
			}
			spoil(peer)
			for begin := time.Now(); !conn.Readable(); {
				if time.Since(begin) > patience {
					t.Fatal("never readable")
				}
			}
			conn.Release(upstream.Reusable)
			again := l.lease(long())
			defer again.Release(upstream.Spent)
			if again.Reused() || l.group.Idle() != 0 {
				t.Errorf("got reused %v, %d idle, want a new connection", again.Reused(), l.group.Idle())
			}
		})
	}
}

func TestGroup_CloseKeepsNothing(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 2})
	a, b := l.lease(long()), l.lease(long())
	b.Release(upstream.Reusable)
	l.group.Close()
	a.Release(upstream.Reusable)
	if got := l.group.Idle(); got != 0 {
		t.Errorf("got %d idle after Close, want 0", got)
	}
	for range 2 {
		if _, err := l.accept().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v at the peer, want io.EOF", err)
		}
	}
}

func TestPeer_KeepsNothingUnlessServing(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 2})
	a, b := l.lease(long()), l.lease(long())
	b.Release(upstream.Reusable)
	l.group.Peers()[0].SetState(upstream.Coming)
	a.Release(upstream.Reusable)
	if got := l.group.Idle(); got != 0 {
		t.Errorf("got %d idle at a peer whose process has gone, want 0", got)
	}
}

func TestConn_TimesOut(t *testing.T) {
	l := listen(t, upstream.GroupOptions{})
	timeouts := long()
	timeouts.Read, timeouts.Send = hurry, hurry
	conn := l.lease(timeouts)
	defer conn.Release(upstream.Spent)
	l.accept() // and never reads
	conn.Phase = upstream.ReadingHead
	_, err := conn.Read(make([]byte, 1))
	wantError(t, err, upstream.TimedOut, upstream.ReadingHead)
	conn.Phase = upstream.Sending
	_, err = conn.Write(make([]byte, 64<<20))
	wantError(t, err, upstream.TimedOut, upstream.Sending)
}

func TestConn_ReadsToTheEnd(t *testing.T) {
	l := listen(t, upstream.GroupOptions{})
	for _, read := range []time.Duration{5 * time.Second, 11 * time.Second} { // armed exactly, and with slack
		timeouts := long()
		timeouts.Read = read
		conn := l.lease(timeouts)
		peer := l.accept()
		for i := range 3 {
			_, _ = peer.Write([]byte("abc"))
			p := make([]byte, 3)
			if n, err := io.ReadFull(conn, p); err != nil || conn.Received() != int64(3*i+n) {
				t.Errorf("got %d bytes, %d in all, error %v", n, conn.Received(), err)
			}
		}
		peer.Close()
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v, want io.EOF", err)
		}
		conn.Release(upstream.Spent)
	}
}

func TestConn_CancelEndsWaiting(t *testing.T) {
	for _, before := range []bool{true, false} {
		l := listen(t, upstream.GroupOptions{Keepalive: 1})
		conn := l.lease(long())
		l.accept()
		conn.Phase = upstream.ReadingBody
		if before {
			conn.Cancel()
		} else {
			go conn.Cancel() // ends at once
		}
		_, err := conn.Read(make([]byte, 1))
		wantError(t, err, upstream.Canceled, upstream.ReadingBody)
		_, err = conn.Write([]byte("x"))
		wantError(t, err, upstream.Canceled, upstream.ReadingBody)
		conn.Release(upstream.Reusable)
		if got := l.group.Idle(); got != 0 {
			t.Errorf("got %d idle, want none that was canceled", got)
		}
	}
}

func TestPeer_LeaseRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	g, err := upstream.NewGroup(upstream.GroupOptions{Protocol: mute{}, Peers: []upstream.PeerOptions{{Address: l.Addr().String()}}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = g.Peers()[0].Lease(long(), false)
	wantError(t, err, upstream.Refused, upstream.Connecting)
}

// TestConn_LeaseAllocatesNothing: a kept connection costs no memory per request.
func TestConn_LeaseAllocatesNothing(t *testing.T) {
	l := listen(t, upstream.GroupOptions{Keepalive: 1, KeepaliveRequests: 1 << 30})
	l.lease(long()).Release(upstream.Reusable)
	peer := l.group.Peers()[0]
	timeouts := long()
	if got := testing.AllocsPerRun(100, func() {
		conn, err := peer.Lease(timeouts, false)
		if err != nil || !conn.Reused() {
			t.Fatal("not the kept connection", err)
		}
		conn.Release(upstream.Reusable)
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
