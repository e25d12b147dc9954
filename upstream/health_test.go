package upstream_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"spillway/upstream"
)

func TestPeer_HealthDecidesWhileSomebodyIsLeft(t *testing.T) {
	g := newGroup(t, upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Minute}, upstream.PeerOptions{}, upstream.PeerOptions{Backup: true})
	a, b, backup := g.Peers()[0], g.Peers()[1], g.Peers()[2]
	usable := func(when string, want ...bool) {
		t.Helper()
		for i, p := range g.Peers() {
			if got := p.Usable(start); got != want[i] {
				t.Errorf("%s: peer %d: got usable %v, want %v", when, i, got, want[i])
			}
		}
	}
	usable("at first", true, true, true)
	if !a.SetHealth(a.Runs(), upstream.Unhealthy) || a.SetHealth(a.Runs(), upstream.Unhealthy) {
		t.Error("want a change once")
	}
	usable("one is unhealthy", false, true, true)
	b.SetHealth(b.Runs(), upstream.Unhealthy)
	usable("the backup is left", false, false, true)
	backup.SetHealth(backup.Runs(), upstream.Unhealthy)
	usable("all are unhealthy", true, true, true)
	a.Report(a.Runs(), upstream.Broken, start)
	usable("all are unhealthy, and one has failed", false, true, true)
	b.SetHealth(b.Runs(), upstream.Healthy)
	usable("one is healthy again", false, true, false)
	if a.Health() != upstream.Unhealthy || b.Health() != upstream.Healthy {
		t.Errorf("got %v and %v, want unhealthy and healthy", a.Health(), b.Health())
	}
}

func TestPeer_HealthIsThatOfTheProcess(t *testing.T) {
	g := newGroup(t, upstream.PeerOptions{}, upstream.PeerOptions{})
	p := g.Peers()[0]
	before := p.Runs()
	p.SetHealth(before, upstream.Unhealthy)
	p.SetState(upstream.Coming)
	p.SetState(upstream.Serving)
	if !p.Usable(start) {
		t.Error("the verdict on a process is held against the next one")
	}
	if p.SetHealth(before, upstream.Unhealthy) || !p.Usable(start) {
		t.Error("a late verdict on a process is held against the next one")
	}
}

func TestPeer_UnhealthyKeepsNoIdleConnections(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "g", Protocol: mute{}, Peers: []upstream.PeerOptions{{Address: listener.Addr().String()}}, Keepalive: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	p := g.Peers()[0]
	lease := func() *upstream.Conn {
		t.Helper()
		c, err := p.Lease(upstream.Timeouts{Connect: time.Minute, Send: time.Minute, Read: time.Minute}, true)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	idle, used := lease(), lease()
	idle.Release(upstream.Reusable)
	if got := g.Idle(); got != 1 {
		t.Fatalf("got %d idle connections, want 1", got)
	}
	p.SetHealth(p.Runs(), upstream.Unhealthy)
	used.Release(upstream.Reusable)
	if got := g.Idle(); got != 0 {
		t.Errorf("got %d idle connections, want none", got)
	}
}

func TestPeer_BeginProbe(t *testing.T) {
	limited := func(queue int) *upstream.Peer {
		g, err := upstream.NewGroup(upstream.GroupOptions{
			Name: "g", Protocol: mute{}, Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1"}}, Concurrency: 1,
			Queue: upstream.Queue{Length: queue},
		})
		if err != nil {
			t.Fatal(err)
		}
		return g.Peers()[0]
	}
	f := func(name string, p *upstream.Peer, during int64, fills bool) {
		t.Helper()
		end, ok := p.BeginProbe()
		if !ok || p.Inflight() != during || p.Busy() != 0 || p.Requests() != 0 {
			t.Fatalf("%s: got %v, %d slots, busy %d and %d requests, want %d slots and no request", name, ok, p.Inflight(), p.Busy(), p.Requests(), during)
		}
		if end() || p.Inflight() != 0 {
			t.Errorf("%s: the slot is still taken", name)
		}
		end, _ = p.BeginProbe()
		took := p.Take(start)
		if took != (p.Busy() == 1) {
			t.Errorf("%s: got busy %d beside a probe, took a slot: %v", name, p.Busy(), took)
		}
		if crowded := end(); crowded != (took && fills) {
			t.Errorf("%s: got crowded %v beside a request", name, crowded)
		}
		if !took {
			p.Take(start)
		}
		if end, ok := p.BeginProbe(); ok == fills {
			t.Errorf("%s: got %v with all slots taken: %v", name, ok, fills)
		} else if ok {
			end()
		}
		p.SetState(upstream.Coming)
		if _, ok := p.BeginProbe(); ok {
			t.Errorf("%s: a process that does not serve is probed", name)
		}
	}
	f("no limit", newGroup(t, upstream.PeerOptions{}).Peers()[0], 1, false)
	f("a limit and a queue", limited(10), 1, true)
	f("a limit and no queue", limited(0), 0, true)
}

// BenchmarkUsable looks at all peers once, as a picker does, when none and when all but the last are unhealthy.
func BenchmarkUsable(b *testing.B) {
	for _, peers := range []int{8, 100} {
		for _, sick := range []int{0, peers - 1} {
			b.Run(fmt.Sprintf("peers-%d/unhealthy-%d", peers, sick), func(b *testing.B) {
				opts := upstream.GroupOptions{Protocol: mute{}}
				for range peers {
					opts.Peers = append(opts.Peers, upstream.PeerOptions{Address: "127.0.0.1:1"})
				}
				g, err := upstream.NewGroup(opts)
				if err != nil {
					b.Fatal(err)
				}
				for _, p := range g.Peers()[:sick] {
					p.SetHealth(p.Runs(), upstream.Unhealthy)
				}
				for b.Loop() {
					for _, p := range g.Peers() {
						p.Usable(start)
					}
				}
			})
		}
	}
}
