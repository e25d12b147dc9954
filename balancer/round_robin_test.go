package balancer_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

func sequence(g *upstream.Group, p balancer.Picker, n int, now time.Time) string {
	var b strings.Builder
	for range n {
		peer := p.Pick(g.Peers(), &balancer.Hint{Now: now})
		if peer == nil {
			b.WriteByte('-')
			continue
		}
		b.WriteByte(byte('a' + peer.Index()))
	}
	return b.String()
}

func TestRoundRobin_SpreadsSmoothly(t *testing.T) {
	f := func(want string, weights ...int) {
		t.Helper()
		var opts []upstream.PeerOptions
		for _, w := range weights {
			opts = append(opts, upstream.PeerOptions{Weight: w})
		}
		got := sequence(group(t, opts...), balancer.NewRoundRobin(), len(want), time.Now())
		if got != want {
			t.Errorf("weights %v: got %s, want %s", weights, got, want)
		}
	}
	f("abcdefghabcdefgh", 1, 1, 1, 1, 1, 1, 1, 1)
	f("aabacaa"+"aabacaa", 5, 1, 1)
	f("abacaba"+"abacaba", 4, 2, 1)
}

func TestRoundRobin_EightEqualPeersGetEqualShares(t *testing.T) {
	g, p := group(t, make([]upstream.PeerOptions, 8)...), balancer.NewRoundRobin()
	for i, c := range sequence(g, p, 1000, time.Now()) {
		if c != rune('a'+i%8) {
			t.Fatalf("request %d went to %c", i, c)
		}
	}
	for _, peer := range g.Peers() {
		if got := peer.Requests(); got != 125 {
			t.Errorf("peer %d: got %d requests, want 125", peer.Index(), got)
		}
	}
}

func TestRoundRobin_FailedPeerComesBackAfterFailTimeout(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opts := upstream.PeerOptions{MaxFails: 2, FailTimeout: 10 * time.Second}
	g, p := group(t, opts, opts), balancer.NewRoundRobin()
	a := g.Peers()[0]
	f := func(want string) {
		t.Helper()
		if got := sequence(g, p, len(want), now); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if a.Report(a.Runs(), upstream.Broken, now) {
		t.Error("disabled after one failure, want two")
	}
	if !a.Report(a.Runs(), upstream.Broken, now) {
		t.Error("not disabled after two failures")
	}
	f("bbbb")
	now = now.Add(10 * time.Second)
	f("bbbb") // fail_timeout is not over yet
	now = now.Add(time.Second)
	if got := sequence(g, p, 6, now); strings.Count(got, "a") != 1 {
		t.Errorf("got %s, want one try of the failed peer", got)
	}
	a.Report(a.Runs(), upstream.Succeeded, now)
	now = now.Add(11 * time.Second)
	if got := sequence(g, p, 40, now); strings.Count(got, "a") < 19 {
		t.Errorf("got %s, want both peers again", got)
	}
}

// TestRoundRobin_TurnsOfThoseWhoStay: a change of the group does not begin the sequence anew, and who comes with the index of
// one that left does not take over its turns.
func TestRoundRobin_TurnsOfThoseWhoStay(t *testing.T) {
	now := time.Now()
	g, p := group(t, make([]upstream.PeerOptions, 3)...), balancer.NewRoundRobin()
	f := func(want string) {
		t.Helper()
		if got := sequence(g, p, len(want), now); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("abca")
	b := g.Peers()[1]
	for b.Inflight() > 0 {
		b.Free()
	}
	g.Remove(b)
	f("ccacac") // a had its turn last
	if _, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1:9", Weight: 2}); err != nil {
		t.Fatal(err)
	}
	f("bacb" + "bacb" + "bacb")
}

func TestRoundRobin_ManyGoroutines(t *testing.T) {
	g, p := group(t, make([]upstream.PeerOptions, 8)...), balancer.NewRoundRobin()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { sequence(g, p, 1000, time.Now()) })
	}
	wg.Wait()
	for _, peer := range g.Peers() {
		if got := peer.Requests(); got != 1000 {
			t.Errorf("peer %d: got %d requests, want 1000", peer.Index(), got)
		}
	}
}
