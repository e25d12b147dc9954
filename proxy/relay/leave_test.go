package relay_test

import (
	"io"
	"slices"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

func TestHandler_DropsPeerWhenClientLeavesBeforeHead(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			peer := serve(t, wire, answer(upstreamtest.Answer{Fault: upstreamtest.Silent}))
			r := start(t, setup{wire: wire, peers: at(peer.Addr(), peer.Addr())})
			c := r.connect().send(request("GET", "/", ""))
			until(t, "the peer is asked", func() bool { return len(peer.Requests()) == 1 })
			_ = c.Close()
			rec := r.next()
			// As in nginx, the attempt has no status.
			if rec.Status != proxy.StatusClientGone || rec.Cause != proxy.CauseClientGone || !slices.Equal(rec.statuses(), []int{0}) {
				t.Errorf("got %+v, want a 499", rec)
			}
			if !r.idlePeers() || r.group.Peers()[0].Fails() != 0 {
				t.Error("the peer is still working, or was blamed")
			}
			r.wantLog("client gone", "level=INFO", `phase="reading response header from upstream"`)
			r.wantNoLog("peer failed")
		})
	}
}

func TestHandler_DropsPeerWhenClientLeavesInBody(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				for _, size := range []int{1000, 100000} {
					peer := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(1, size), Fault: upstreamtest.HangInBody}))
					r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
					c := r.connect().send(request("GET", "/", ""))
					if _, err := io.ReadFull(c.head("GET").Body, make([]byte, size/2)); err != nil {
						t.Fatal(err)
					}
					_ = c.Close()
					if rec := r.next(); rec.Status != 200 || !rec.Truncated {
						t.Errorf("got %+v, want a truncated 200", rec)
					}
					if !r.idlePeers() || r.group.Peers()[0].Fails() != 0 {
						t.Error("the peer is still working, or was blamed")
					}
					r.wantLog("client gone", "level=INFO", `phase="reading upstream"`)
					r.wantNoLog("peer failed")
				}
			}
		})
	}
}

// TestHandler_DropsPeerWhenClientTakesNoMore: a client that resets while a long response is on its way.
func TestHandler_DropsPeerWhenClientTakesNoMore(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				gate := make(chan struct{})
				t.Cleanup(func() { close(gate) })
				peer := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(1, 32<<20), Gate: gate}))
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
				c := r.connect().send(request("GET", "/", ""))
				if _, err := io.ReadFull(c.head("GET").Body, make([]byte, 100000)); err != nil {
					t.Fatal(err)
				}
				_ = c.SetLinger(0)
				_ = c.Close()
				if rec := r.next(); rec.Status != 200 || !rec.Truncated {
					t.Errorf("got %+v, want a truncated 200", rec)
				}
				if !r.idlePeers() {
					t.Error("the peer is still working")
				}
			}
		})
	}
}

// TestHandler_FinishesWithoutClient: with ignore_client_abort the peer is read to its end.
func TestHandler_FinishesWithoutClient(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, unbuffer := range []bool{false, true} {
				gate, body := make(chan struct{}), pattern(1, 32<<20)
				peer := serve(t, wire, answer(upstreamtest.Answer{Body: body, Gate: gate}))
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
					o.Unbuffer, o.Finish = unbuffer, true
				}})
				c := r.connect().send(request("GET", "/", ""))
				if _, err := io.ReadFull(c.head("GET").Body, make([]byte, 100000)); err != nil {
					t.Fatal(err)
				}
				_ = c.SetLinger(0)
				_ = c.Close()
				close(gate)
				rec := r.next()
				if !rec.Truncated || rec.Attempts[0].ReceivedBody != int64(len(body)) {
					t.Errorf("got %d bytes of the peer, truncated %v, want %d, true", rec.Attempts[0].ReceivedBody, rec.Truncated, len(body))
				}
				r.wantNoLog("client gone")
				if got := r.group.Idle(); got != 1 && !wire.OneShot() {
					t.Errorf("got %d idle connections, want 1", got)
				}
			}
		})
	}
}

// TestHandler_FinishesHeadWithoutClient is the same for a client that leaves before there is a head.
func TestHandler_FinishesHeadWithoutClient(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 1)
	peer := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		asked <- struct{}{}
		<-release
		return upstreamtest.Answer{Body: []byte("good")}
	})
	r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) { o.Finish = true }})
	c := r.connect().send(request("GET", "/", ""))
	<-asked
	_ = c.SetLinger(0)
	_ = c.Close()
	close(release)
	if rec := r.next(); rec.Status != 200 || rec.Attempts[0].Status != 200 {
		t.Errorf("got %+v, want the 200 of the peer", rec)
	}
}
