package upstream_test

import (
	"net"
	"testing"
	"time"

	"spillway/upstream"
)

// TestPeer_ALivingProcessIsNotSuspected: it has closed a connection, but listens, and its supervisor knows that it has not begun to end.
func TestPeer_ALivingProcessIsNotSuspected(t *testing.T) {
	f := func(name string, lives, listens, hopeless bool) {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if !listens {
			ln.Close()
		}
		opts := queued()
		opts.Peers = []upstream.PeerOptions{{Address: ln.Addr().String()}}
		opts.Lives = func(*upstream.Peer) bool { return lives }
		g := groupOf(t, 0, opts)
		p := g.Peers()[0]
		p.Report(p.Runs(), upstream.Died, time.Now())
		w := &upstream.Waiter{Tried: func(*upstream.Peer) bool { return true }}
		if got := g.Hopeless(w); got != hopeless {
			t.Errorf("%s: got hopeless %v, want %v", name, got, hopeless)
		}
	}
	f("lives", true, true, true)
	f("its child has ended", true, false, false)
	f("ends", false, true, false)
	f("has ended", false, false, false)
}
