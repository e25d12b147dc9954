package relay_test

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// wantLate checks that the deadline ended an exchange, after attempts with these statuses.
func wantLate(t *testing.T, r *rig, got response, statuses ...int) {
	t.Helper()
	got.want(t, 504, proxy.Page(504))
	if rec := r.next(); rec.Cause != proxy.CauseDeadline || !slices.Equal(rec.statuses(), statuses) {
		t.Errorf("got %s after %v, want the deadline after %v", rec.Cause, rec.statuses(), statuses)
	}
}

func deadline(d time.Duration) func(*relay.Options) { return func(o *relay.Options) { o.Deadline = d } }

// TestHandler_DeadlineCutsAnAttempt: of a peer that is silent, or that stops in its head or before its body.
func TestHandler_DeadlineCutsAnAttempt(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, fault := range []upstreamtest.Fault{upstreamtest.Silent, upstreamtest.HangInHead, upstreamtest.HangInBody} {
				peer := serve(t, wire, answer(upstreamtest.Answer{Fault: fault, Body: []byte("x")}))
				r := start(t, setup{wire: wire, peers: at(peer.Addr(), peer.Addr()), options: deadline(hurry)})
				wantLate(t, r, r.do("GET", "/", ""), 504)
				r.wantLog("deadline passed", "level=ERROR", "took=0.1s", "phase=")
				if got := r.group.Peers()[0].Fails(); got != 1 {
					t.Errorf("%v: got %d fails of a peer that had all the time, want 1", fault, got)
				}
			}
		})
	}
}

// TestHandler_DeadlineIsForTheHead: the body has the time that it takes, on a connection that is used again.
func TestHandler_DeadlineIsForTheHead(t *testing.T) {
	t.Parallel()
	gate := make(chan struct{})
	body := pattern(1, 100_000)
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: body, Gate: gate}))
	const limit = 2 * time.Second // the head is there, also on a busy machine
	r := start(t, setup{peers: at(peer.Addr()), options: deadline(limit)})
	c, over := r.connect().send(request("GET", "/", "")), time.After(limit+hurry)
	resp := c.head("GET")
	<-over
	close(gate)
	got, err := io.ReadAll(resp.Body)
	if !bytes.Equal(got, body) || err != nil {
		t.Errorf("got %d bytes, %v, want all", len(got), err)
	}
	r.do("GET", "/", "").want(t, 200, body) // on the same connection, whose deadlines were moved
}

// TestHandler_DeadlineBoundsAHead: a peer sends its head byte by byte, so that no read takes long.
func TestHandler_DeadlineBoundsAHead(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var peer sync.WaitGroup
	peer.Go(func() { // ends with the listener, or when the connection is closed
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for _, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Long: "); err == nil; _, err = io.WriteString(c, "x") {
			<-time.After(hurry / 10)
		}
	})
	t.Cleanup(func() {
		l.Close()
		peer.Wait()
	})
	r := start(t, setup{peers: at(l.Addr().String()), options: deadline(3 * hurry)})
	wantLate(t, r, r.do("GET", "/", ""), 504)
}

func TestHandler_DeadlineEndsTheWaitForASlot(t *testing.T) {
	t.Parallel()
	peer, asked, _ := gated(t)
	r := start(t, setup{peers: at(peer.Addr()), group: waiting, options: deadline(hurry)})
	end, ok := r.group.Peers()[0].BeginProbe() // somebody has the slot
	if !ok {
		t.Fatal("no slot")
	}
	wantLate(t, r, r.do("POST", "/", "x"), 504)
	r.wantLog("deadline passed", `phase="connecting to upstream"`)
	end()
	if len(asked) > 0 || r.group.Queue().Waiting != 0 {
		t.Error("the request was served, or still waits")
	}
}

// TestHandler_DeadlineBeginsNoAttempt: a retry comes too late.
func TestHandler_DeadlineBeginsNoAttempt(t *testing.T) {
	t.Parallel()
	slow := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		<-time.After(2 * hurry)
		return upstreamtest.Answer{Status: 503, Body: []byte("bad")}
	})
	r := start(t, setup{peers: at(slow.Addr(), slow.Addr()), options: func(o *relay.Options) {
		o.Deadline, o.Retry.On = 3*hurry, relay.OnHTTP503|relay.OnTimeout
	}})
	wantLate(t, r, r.do("GET", "/", ""), 503, 504)
	if fails := []int{r.group.Peers()[0].Fails(), r.group.Peers()[1].Fails()}; !slices.Equal(fails, []int{1, 0}) {
		t.Errorf("got %v fails, want none of the peer that had the rest of the time", fails)
	}
}

// TestHandler_NextUpstreamTimeoutEndsTheWait: the failure before it stands, as if nobody had been left.
func TestHandler_NextUpstreamTimeoutEndsTheWait(t *testing.T) {
	t.Parallel()
	closing := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
	r := start(t, setup{peers: at(closing.Addr(), closing.Addr()), group: waiting, options: func(o *relay.Options) {
		o.Retry.Timeout = 2 * time.Second
	}})
	second := r.group.Peers()[1]
	if !second.Take(time.Now()) {
		t.Fatal("no slot")
	}
	r.do("GET", "/", "").want(t, 502, proxy.Page(502))
	if rec := r.next(); rec.Cause != proxy.CauseFailed || !slices.Equal(rec.statuses(), []int{502}) || rec.Queued == 0 {
		t.Errorf("got %+v, want the failure of the only attempt", rec)
	}
	second.Free()
}

// TestHandler_NextUpstreamTimeoutEndsTheWaitAfterAStatus: the status that is known is the answer, not "no live upstreams".
func TestHandler_NextUpstreamTimeoutEndsTheWaitAfterAStatus(t *testing.T) {
	t.Parallel()
	bad := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Status: 503, Body: []byte("bad")}))
	r := start(t, setup{peers: at(bad.Addr(), bad.Addr()), group: waiting, options: func(o *relay.Options) {
		o.Retry.On, o.Retry.Timeout = relay.OnHTTP503, 2*time.Second
	}})
	second := r.group.Peers()[1]
	if !second.Take(time.Now()) {
		t.Fatal("no slot")
	}
	r.do("GET", "/", "").want(t, 503, proxy.Page(503))
	if rec := r.next(); !slices.Equal(rec.statuses(), []int{503}) || rec.Queued == 0 {
		t.Errorf("got %+v, want the status of the only attempt", rec)
	}
	second.Free()
}
