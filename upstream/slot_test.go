package upstream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spillway/upstream"
)

// groupOf returns a group with the options and n peers that nobody listens at.
func groupOf(t *testing.T, n int, opts upstream.GroupOptions) *upstream.Group {
	t.Helper()
	opts.Name, opts.Protocol = "g", mute{}
	for range n {
		opts.Peers = append(opts.Peers, upstream.PeerOptions{Address: "127.0.0.1:1"})
	}
	g, err := upstream.NewGroup(opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPeer_TakesAsManySlotsAsItHas(t *testing.T) {
	f := func(maxConns, concurrency, want int) {
		t.Helper()
		g, err := upstream.NewGroup(upstream.GroupOptions{
			Protocol: mute{}, Concurrency: concurrency,
			Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1", MaxConns: maxConns}},
		})
		if err != nil {
			t.Fatal(err)
		}
		p, got := g.Peers()[0], 0
		for got < 20 && p.Take(start) {
			got++
		}
		if got != want || p.Inflight() != int64(want) || p.Usable(start) != (want == 20) {
			t.Errorf("max_conns %d, concurrency %d: got %d slots, %d in flight, usable %v, want %d",
				maxConns, concurrency, got, p.Inflight(), p.Usable(start), want)
		}
		p.Free()
		if !p.Take(start) {
			t.Error("a slot that was given back could not be taken")
		}
	}
	f(0, 0, 20)
	f(3, 0, 3)
	f(0, 4, 4)
	f(3, 4, 3)
	f(4, 3, 3)
}

// TestPeer_IsNotUsedAfterDrained is the promise that a process can be stopped: taken out of service and drained, its peer
// is used by nobody.
func TestPeer_IsNotUsedAfterDrained(t *testing.T) {
	p := groupOf(t, 2, upstream.GroupOptions{Concurrency: 5}).Peers()[0]
	var stopped atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	var users sync.WaitGroup
	for range 16 {
		users.Go(func() {
			for ctx.Err() == nil {
				if !p.Take(start) {
					continue
				}
				if stopped.Load() || p.Inflight() > 5 {
					t.Errorf("a peer was used that was stopped (%v), or beyond its limit (%d)", stopped.Load(), p.Inflight())
				}
				p.Free()
			}
		})
	}
	for i := range 500 {
		p.SetState([]upstream.State{upstream.Coming, upstream.Away}[i%2])
		if err := p.Drained(ctx); err != nil {
			t.Fatal(err)
		}
		stopped.Store(true)
		if p.Take(start) || p.Inflight() != 0 {
			t.Fatal("a slot was taken after the peer was drained")
		}
		stopped.Store(false)
		p.SetState(upstream.Serving)
	}
	cancel()
	users.Wait()
	if got := p.Runs(); got != 501 {
		t.Errorf("got %d runs, want 501", got)
	}
}

func TestPeer_DrainedWaitsForTheLastSlot(t *testing.T) {
	p := groupOf(t, 1, upstream.GroupOptions{}).Peers()[0]
	p.Take(start)
	p.Take(start)
	p.SetState(upstream.Coming)
	ctx, cancel := context.WithTimeout(t.Context(), hurry)
	defer cancel()
	p.Free()
	if err := p.Drained(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v with a slot in use, want the context's error", err)
	}
	drained := make(chan error, 2)
	for range 2 {
		go func() { drained <- p.Drained(t.Context()) }() // ends with the Free below
	}
	p.Free()
	for range 2 {
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
}

func TestPeer_SlotFreedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("got no panic")
		}
	}()
	groupOf(t, 1, upstream.GroupOptions{}).Peers()[0].Free()
}

// TestPeer_SpentOncePerProcess: max_requests are counted anew for each process, with a part that is chosen at random.
func TestPeer_SpentOncePerProcess(t *testing.T) {
	spent := make(chan *upstream.Peer, 10)
	g := groupOf(t, 2, upstream.GroupOptions{
		MaxRequests: 10, MaxRequestsJitter: 5, OnSpent: func(p *upstream.Peer) { spent <- p },
	})
	p := g.Peers()[1]
	for run := range 3 {
		for i := range 30 {
			if i == 9 && len(spent) != 0 {
				t.Errorf("run %d: spent before max_requests", run)
			}
			if !p.Take(time.Now()) {
				t.Fatal("no slot")
			}
			p.Free()
		}
		if got := <-spent; got != p {
			t.Errorf("run %d: got peer %d spent, want 1", run, got.Index())
		}
		p.SetState(upstream.Coming)
		p.SetState(upstream.Serving)
	}
	if len(spent) != 0 {
		t.Error("a process was spent twice")
	}
}

func TestPeer_RunsAreThoseOfAllGroupsTogether(t *testing.T) {
	var runs atomic.Uint64
	seen := map[uint64]bool{}
	for range 2 {
		for _, p := range groupOf(t, 2, upstream.GroupOptions{Runs: &runs}).Peers() {
			first := p.Runs()
			p.SetState(upstream.Coming)
			p.SetState(upstream.Serving)
			seen[first], seen[p.Runs()] = true, true
		}
	}
	if len(seen) != 8 || seen[0] {
		t.Errorf("got runs %v, want 8 that are no two of them the same", seen)
	}
}

func TestPeer_StandingSaysWhatKeepsRequestsAway(t *testing.T) {
	g := newGroup(t, []upstream.PeerOptions{
		{Down: true}, {State: upstream.Coming}, {State: upstream.Away}, {MaxFails: 1, FailTimeout: time.Minute}, {}, {Drain: true}, {},
	}...)
	p := g.Peers()
	p[3].Report(p[3].Runs(), upstream.Broken, start)
	p[4].SetHealth(p[4].Runs(), upstream.Unhealthy)
	for i, want := range []string{"down", "coming", "away", "disabled", "unhealthy", "drain", "up"} {
		if got := p[i].Standing(start); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
