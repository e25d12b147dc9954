package balancer_test

import (
	"slices"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// speaker is a Protocol that is never spoken: pickers look at peers only.
type speaker struct{}

func (speaker) Send(*upstream.Conn, *upstream.Request) error     { return nil }
func (speaker) Receive(*upstream.Conn, *upstream.Response) error { return nil }

func group(tb testing.TB, peers ...upstream.PeerOptions) *upstream.Group {
	tb.Helper()
	for i := range peers {
		peers[i].Address = "127.0.0.1:" + string(rune('1'+i))
	}
	g, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: speaker{}, Peers: peers})
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

// pickers are all methods; each must keep the contract below.
func pickers() map[string]func() balancer.Picker {
	return map[string]func() balancer.Picker{
		"round_robin": func() balancer.Picker { return balancer.NewRoundRobin() },
	}
}

func TestPicker_NeverPicksAnUnusablePeer(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for name, newPicker := range pickers() {
		t.Run(name, func(t *testing.T) {
			g := group(t,
				upstream.PeerOptions{},
				upstream.PeerOptions{Down: true},
				upstream.PeerOptions{State: upstream.Coming},
				upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Minute},
				upstream.PeerOptions{},
				upstream.PeerOptions{Backup: true})
			g.Peers()[3].Report(g.Peers()[3].Runs(), upstream.Broken, start)
			p := newPicker()
			for range 100 {
				hint := balancer.Hint{Now: start}
				hint.Tried.Add(4)
				if got := p.Pick(g.Peers(), &hint); got == nil || got.Index() != 0 {
					t.Fatalf("got %v, want the only usable peer", got)
				}
			}
			hint := balancer.Hint{Now: start}
			hint.Tried.Add(0)
			hint.Tried.Add(4)
			if got := p.Pick(g.Peers(), &hint); got == nil || !got.Backup() {
				t.Fatalf("got %v, want the backup peer", got)
			}
			hint.Tried.Add(5)
			if got := p.Pick(g.Peers(), &hint); got != nil {
				t.Fatalf("got %v, want nobody", got.Address())
			}
		})
	}
}

// TestPicker_FollowsTheGroup: peers come, leave, and come with the index of one that left.
func TestPicker_FollowsTheGroup(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for name, newPicker := range pickers() {
		t.Run(name, func(t *testing.T) {
			g := group(t, upstream.PeerOptions{}, upstream.PeerOptions{})
			p := newPicker()
			for i := range 200 {
				leaves := g.Peers()[i%2]
				for range i % 5 {
					if got := p.Pick(g.Peers(), &balancer.Hint{Now: now}); got != nil {
						got.Free()
					}
				}
				stale := g.Peers()
				if _, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1:9"}); err != nil {
					t.Fatal(err)
				}
				g.Remove(leaves)
				for range 10 {
					hint := balancer.Hint{Now: now}
					got, old := p.Pick(g.Peers(), &hint), p.Pick(stale, &hint)
					if got == nil || !slices.Contains(g.Peers(), got) || old == nil || !slices.Contains(g.Peers(), old) {
						t.Fatalf("change %d: got %v and, of the peers before, %v; want some that are in the group", i, got, old)
					}
					got.Free()
					old.Free()
				}
			}
		})
	}
}

func TestPicker_DoesNotAllocate(t *testing.T) {
	for name, newPicker := range pickers() {
		g := group(t, make([]upstream.PeerOptions, 8)...)
		p, hint := newPicker(), balancer.Hint{Now: time.Now()}
		p.Pick(g.Peers(), &hint)
		if n := testing.AllocsPerRun(100, func() { p.Pick(g.Peers(), &hint) }); n != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, n)
		}
	}
}

func TestTried_HoldsAnyNumberOfPeers(t *testing.T) {
	var tried balancer.Tried
	for _, i := range []int{0, 63, 64, 127, 128, 1000} {
		if tried.Has(i) {
			t.Errorf("%d is in the set before Add", i)
		}
		tried.Add(i)
		if !tried.Has(i) || tried.Has(i+1) && i != 63 && i != 127 {
			t.Errorf("%d: wrong membership after Add", i)
		}
	}
	tried.Clear()
	if tried.Has(0) || tried.Has(1000) {
		t.Error("not empty after Clear")
	}
}
