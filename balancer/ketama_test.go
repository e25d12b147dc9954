package balancer_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// placed returns the address that each of some keys goes to.
func placed(g *upstream.Group, p balancer.Picker) map[string]string {
	where := map[string]string{}
	for i := range 1000 {
		key := fmt.Sprintf("key-%d", i)
		peer := p.Pick(g.Peers(), &balancer.Hint{Now: time.Now(), Key: []byte(key)})
		peer.Free()
		where[key] = peer.Address()
	}
	return where
}

// TestKetama_MovesFewKeys: of eight peers one goes, and only its keys move; with Hash nearly all of them do.
func TestKetama_MovesFewKeys(t *testing.T) {
	eight, seven := group(t, make([]upstream.PeerOptions, 8)...), group(t, make([]upstream.PeerOptions, 7)...)
	moved := func(p balancer.Picker) (own, others int) {
		before, after := placed(eight, p), placed(seven, p) // the ring is made anew for other peers
		for key, address := range before {
			switch {
			case address == after[key]:
			case address == eight.Peers()[7].Address():
				own++
			default:
				others++
			}
		}
		return own, others
	}
	if own, others := moved(balancer.NewKetama()); own == 0 || others != 0 {
		t.Errorf("got %d keys of the peer that went and %d of others moved, want its own only", own, others)
	}
	if _, others := moved(balancer.NewHash()); others < 500 {
		t.Errorf("hash: got %d keys of others moved, want most", others)
	}
}

// TestKetama_PeersOfOneAddressTakeTurns: two entries with the same address have the same points, as in nginx.
func TestKetama_PeersOfOneAddressTakeTurns(t *testing.T) {
	g, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: speaker{}, Peers: []upstream.PeerOptions{
		{Address: "127.0.0.1:1"}, {Address: "127.0.0.1:2"}, {Address: "127.0.0.1:1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, used := balancer.NewKetama(), map[int]int{}
	for range 100 {
		used[p.Pick(g.Peers(), &balancer.Hint{Now: time.Now(), Key: []byte("key-3")}).Index()]++
	}
	if used[1] != 100 && (used[0] != 50 || used[2] != 50) {
		t.Errorf("got %v, want one address only, and half of it at each of its peers", used)
	}
	hint := balancer.Hint{Now: time.Now(), Key: []byte("key-3")}
	for range 3 {
		hint.Tried.Add(p.Pick(g.Peers(), &hint).Index())
	}
	if got := p.Pick(g.Peers(), &hint); got != nil {
		t.Errorf("got %s, want nobody", got.Address())
	}
}

// TestKetama_RingIsBounded: an SRV record can have a weight of 65535, and each unit of it has 160 points in nginx.
func TestKetama_RingIsBounded(t *testing.T) {
	g := group(t, upstream.PeerOptions{Weight: 65535}, upstream.PeerOptions{Weight: 65535}, upstream.PeerOptions{Weight: 1})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used := map[string]int{}
	for _, address := range placed(g, balancer.NewKetama()) {
		used[address]++
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("got %d bytes for a ring, want 32 MiB at most", took)
	}
	for _, p := range g.Peers()[:2] {
		if n := used[p.Address()]; n < 400 {
			t.Errorf("got %d of 1000 keys at %s, want about half", n, p.Address())
		}
	}
}
