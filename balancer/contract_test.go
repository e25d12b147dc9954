package balancer_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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
		"least_conn":  func() balancer.Picker { return balancer.NewLeastConn() },
		"least_time":  func() balancer.Picker { return balancer.NewLeastTime(balancer.LeastTimeOptions{}) },
		"least_time inflight": func() balancer.Picker {
			return balancer.NewLeastTime(balancer.LeastTimeOptions{LastByte: true, Inflight: true})
		},
		"hash":        func() balancer.Picker { return balancer.NewHash() },
		"ketama":      func() balancer.Picker { return balancer.NewKetama() },
		"ip_hash":     func() balancer.Picker { return balancer.NewIPHash() },
		"random":      func() balancer.Picker { return balancer.NewRandom() },
		"random two":  func() balancer.Picker { return balancer.NewRandomTwo() },
		"sticky":      func() balancer.Picker { return balancer.NewSticky(balancer.NewRoundRobin()) },
		"sticky hash": func() balancer.Picker { return balancer.NewSticky(balancer.NewHash()) },
	}
}

// prepare makes hint that of the i-th exchange, which has a client and a key of its own.
func prepare(hint *balancer.Hint, i int, now time.Time) {
	hint.Reset()
	hint.Now, hint.Client, hint.Key = now, fmt.Sprintf("10.%d.%d.1", i/250%250, i%250), fmt.Appendf(nil, "/page/%d", i)
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
				upstream.PeerOptions{Backup: true},
				upstream.PeerOptions{MaxConns: 1, Weight: 9},
				upstream.PeerOptions{Drain: true})
			g.Peers()[3].Report(g.Peers()[3].Runs(), upstream.Broken, start)
			g.Peers()[6].Take(start)
			p := newPicker()
			var hint balancer.Hint
			for i := range 100 {
				prepare(&hint, i, start)
				hint.Tried.Add(4)
				if got := p.Pick(g.Peers(), &hint); got == nil || got.Index() != 0 {
					t.Fatalf("got %v, want the only usable peer", got)
				}
				hint.Tried.Add(0)
				if got := p.Pick(g.Peers(), &hint); got == nil || !got.Backup() {
					t.Fatalf("got %v, want the backup peer", got)
				}
				hint.Tried.Add(5)
				if got := p.Pick(g.Peers(), &hint); got != nil {
					t.Fatalf("got %v, want nobody", got.Address())
				}
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
			var hint balancer.Hint
			for i := range 200 {
				leaves := g.Peers()[i%2]
				for n := range i % 5 {
					prepare(&hint, n, now)
					p.Pick(g.Peers(), &hint).Free()
				}
				stale := g.Peers()
				if _, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1:9"}); err != nil {
					t.Fatal(err)
				}
				g.Remove(leaves)
				for n := range 10 {
					for _, peers := range [][]*upstream.Peer{g.Peers(), stale} {
						prepare(&hint, n, now)
						got := p.Pick(peers, &hint)
						if got == nil || !slices.Contains(g.Peers(), got) {
							t.Fatalf("change %d: got %v, want one that is in the group", i, got)
						}
						got.Free()
					}
				}
			}
		})
	}
}

// TestPicker_TriesEachPeerOnce: an exchange that fails everywhere has been at each peer, the backup peers last.
func TestPicker_TriesEachPeerOnce(t *testing.T) {
	for name, newPicker := range pickers() {
		g, p, now := group(t, append(make([]upstream.PeerOptions, 5), upstream.PeerOptions{Backup: true})...), newPicker(), time.Now()
		var hint balancer.Hint
		for i := range 50 {
			prepare(&hint, i, now)
			for n := range len(g.Peers()) {
				peer := p.Pick(g.Peers(), &hint)
				if peer == nil || hint.Tried.Has(peer.Index()) || peer.Backup() != (n == 5) {
					t.Fatalf("%s: attempt %d: got %v", name, n, peer)
				}
				hint.Tried.Add(peer.Index())
				peer.Free()
			}
			if peer := p.Pick(g.Peers(), &hint); peer != nil {
				t.Fatalf("%s: got %s a second time", name, peer.Address())
			}
		}
	}
}

// TestPicker_HonoursWeights: over many clients and keys, with some requests in flight, each peer gets about its share.
func TestPicker_HonoursWeights(t *testing.T) {
	weights := []int{6, 1, 3}
	const requests, inFlight = 5000, 20
	for name, newPicker := range pickers() {
		var opts []upstream.PeerOptions
		for _, w := range weights {
			opts = append(opts, upstream.PeerOptions{Weight: w})
		}
		g, p, now := group(t, opts...), newPicker(), time.Now()
		var hint balancer.Hint
		var busy []*upstream.Peer
		for i := range requests {
			prepare(&hint, i, now)
			if busy = append(busy, p.Pick(g.Peers(), &hint)); len(busy) > inFlight {
				busy[0].Free()
				busy = busy[1:]
			}
		}
		for i, peer := range g.Peers() {
			want := float64(weights[i]) / 10
			if got := float64(peer.Requests()) / requests; got < want/1.4 || got > want*1.4 {
				t.Errorf("%s: peer %d got %.2f of the requests, want about %.2f", name, i, got, want)
			}
		}
	}
}

// TestPicker_TakesAPartOfThePeers: the queue offers the peer whose slot became free, and a group grows.
func TestPicker_TakesAPartOfThePeers(t *testing.T) {
	for name, newPicker := range pickers() {
		g, p, now := group(t, make([]upstream.PeerOptions, 8)...), newPicker(), time.Now()
		var hint balancer.Hint
		prepare(&hint, 0, now)
		if got := p.Pick(g.Peers()[6:7], &hint); got == nil || got.Index() != 6 {
			t.Errorf("%s: got %v, want the peer with a free slot", name, got)
		}
		used := map[int]bool{}
		for i := range 400 {
			prepare(&hint, i, now)
			if got := p.Pick(g.Peers()[:3], &hint); got == nil || got.Index() > 2 {
				t.Fatalf("%s: got %v, want one of three peers", name, got)
			}
			prepare(&hint, i, now)
			used[p.Pick(g.Peers(), &hint).Index()] = true
		}
		if len(used) < 5 {
			t.Errorf("%s: after the group grew got peers %v, want nearly all", name, used)
		}
	}
}

func TestPicker_DoesNotAllocate(t *testing.T) {
	for name, newPicker := range pickers() {
		g := group(t, make([]upstream.PeerOptions, 8)...)
		p, now := newPicker(), time.Now()
		var hint balancer.Hint
		attempts := func(client string) func() {
			key := []byte("/page")
			return func() {
				hint.Reset()
				hint.Now, hint.Client, hint.Key = now, client, key
				for range len(g.Peers()) {
					peer := p.Pick(g.Peers(), &hint)
					hint.Tried.Add(peer.Index())
					peer.Free()
				}
			}
		}
		for _, client := range []string{"10.1.2.3", "2001:db8::1", "unix:"} {
			attempts(client)()
			if n := testing.AllocsPerRun(100, attempts(client)); n != 0 {
				t.Errorf("%s: client %s: got %v allocations, want 0", name, client, n)
			}
		}
	}
}

// TestPicker_KeepsTheLimitOfSlots: choosing a peer and taking its slot is one step, whoever else chooses.
func TestPicker_KeepsTheLimitOfSlots(t *testing.T) {
	const limit = 3
	for name, newPicker := range pickers() {
		t.Run(name, func(t *testing.T) {
			opts := upstream.PeerOptions{MaxConns: limit}
			g, p := group(t, opts, opts, opts), newPicker()
			var wg sync.WaitGroup
			var used [3]atomic.Int64
			for client := range 16 {
				wg.Go(func() {
					var hint balancer.Hint
					for i := range 1000 {
						prepare(&hint, client*1000+i, time.Now())
						peer := p.Pick(g.Peers(), &hint)
						if peer == nil {
							continue
						}
						if got := used[peer.Index()].Add(1); got > limit {
							t.Errorf("got %d slots of peer %d in use, want at most %d", got, peer.Index(), limit)
						}
						used[peer.Index()].Add(-1)
						peer.Free()
					}
				})
			}
			wg.Wait()
			for _, peer := range g.Peers() {
				if peer.Inflight() != 0 || peer.Requests() == 0 {
					t.Errorf("peer %d: got %d of %d slots in use, want none of some", peer.Index(), peer.Inflight(), peer.Requests())
				}
			}
		})
	}
}

func BenchmarkPick(b *testing.B) {
	for name, newPicker := range pickers() {
		b.Run(name, func(b *testing.B) {
			g, p, now := group(b, make([]upstream.PeerOptions, 8)...), newPicker(), time.Now()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				hint, key, route := balancer.Hint{}, []byte("/some/page?of=8"), []byte(g.Peers()[5].Route())
				for pb.Next() {
					hint.Reset()
					hint.Now, hint.Client, hint.Key, hint.Route = now, "10.11.12.13", key, route
					p.Pick(g.Peers(), &hint).Free()
				}
			})
		})
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
