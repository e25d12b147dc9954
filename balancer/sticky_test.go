package balancer_test

import (
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

func bound(now time.Time, p *upstream.Peer) *balancer.Hint {
	return &balancer.Hint{Now: now, Route: []byte(p.Route())}
}

func TestSticky_GoesWhereItIsBound(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opts := upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Minute, MaxConns: 2}
	drained, off := opts, opts
	drained.Drain, off.Down = true, true
	g, p := group(t, opts, opts, drained, off), balancer.NewSticky(balancer.NewRoundRobin())
	f := func(what string, want int, hint *balancer.Hint) {
		t.Helper()
		got := p.Pick(g.Peers(), hint)
		if got.Index() != want {
			t.Errorf("%s: got peer %d, want %d", what, got.Index(), want)
		}
		got.Free()
	}
	peers := g.Peers()
	f("bound", 1, bound(now, peers[1]))
	f("bound once more", 1, bound(now, peers[1]))
	f("bound to one that is drained", 2, bound(now, peers[2]))
	f("bound to one that is down", 0, bound(now, peers[3]))
	f("bound to nobody", 0, &balancer.Hint{Now: now, Route: []byte("127.0.0.1:1")})
	f("not bound", 0, &balancer.Hint{Now: now})
	tried := bound(now, peers[1])
	tried.Tried.Add(1)
	f("bound and tried", 0, tried)
	peers[1].Take(now)
	peers[1].Take(now)
	f("bound to one that is full", 0, bound(now, peers[1]))
	peers[1].Free()
	f("bound to one that has a slot again", 1, bound(now, peers[1]))
	peers[1].Report(peers[1].Runs(), upstream.Broken, now)
	f("bound to one that is disabled", 0, bound(now, peers[1]))
}

// TestSticky_CountsAsATurn: the requests that are bound to one peer are its turns, so that the others get more of the rest.
func TestSticky_CountsAsATurn(t *testing.T) {
	now := time.Now()
	g, p := group(t, make([]upstream.PeerOptions, 3)...), balancer.NewSticky(balancer.NewRoundRobin())
	rest := ""
	for range 20 {
		p.Pick(g.Peers(), bound(now, g.Peers()[0]))
		rest += sequence(g, p, 1, now)
	}
	if a := strings.Count(rest, "a"); a > 1 {
		t.Errorf("got %s, want hardly any at the peer that the others are bound to", rest)
	}
	for range 1000 {
		p.Pick(g.Peers(), bound(now, g.Peers()[0]))
	}
	if got := sequence(g, p, 9, now); strings.Count(got, "a") < 2 {
		t.Errorf("got %s, want the turns of the past forgotten", got)
	}
}

func TestPeer_RouteIsTheMD5OfItsAddress(t *testing.T) {
	g, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: speaker{}, Peers: []upstream.PeerOptions{
		{Address: "127.0.0.1:9001"}, {Address: "unix:/run/app.sock"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"422db4e6da7b4bba46bd476612df0469", "939db79304b0f599c2c20969650359ab"} {
		if got := g.Peers()[i].Route(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
