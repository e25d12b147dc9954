package upstream_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream"
)

// pairOf returns a group and its successor, which have the same peers and each its own settings.
func pairOf(t *testing.T, peers []upstream.PeerOptions, before, after upstream.GroupOptions) (old, next *upstream.Group) {
	t.Helper()
	before.Peers, after.Peers = peers, peers
	old = groupOf(t, 0, before)
	after.Kin = []*upstream.Group{old}
	return old, groupOf(t, 0, after)
}

// onPorts lists peers by their ports.
func onPorts(opts upstream.PeerOptions, ports ...int) (peers []upstream.PeerOptions) {
	for _, port := range ports {
		opts.Address = fmt.Sprintf("127.0.0.1:%d", port)
		peers = append(peers, opts)
	}
	return peers
}

func TestAccount_SlotsAreThoseOfBothGroups(t *testing.T) {
	old, next := pairOf(t, onPorts(upstream.PeerOptions{}, 1, 2), upstream.GroupOptions{Concurrency: 1}, upstream.GroupOptions{Concurrency: 2})
	a, b := old.Peers()[0], next.Peers()[0]
	if !a.Shares(b) || a.Shares(next.Peers()[1]) {
		t.Fatal("peers are shared by something else than their addresses")
	}
	f := func(what string, p *upstream.Peer, want bool) {
		t.Helper()
		if got := p.Take(start); got != want {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	f("the first", a, true)
	f("a second in the old group", a, false)
	f("a second in the new group", b, true)
	f("a third in the new group", b, false)
	if a.Inflight() != 2 || b.Inflight() != 2 || a.Requests() != 2 {
		t.Errorf("got %d and %d in flight of %d requests, want 2", a.Inflight(), b.Inflight(), a.Requests())
	}
	old.Close()
	a.Free()
	f("after the old group was closed", b, true)
	b.Free()
	b.Free()
	if next.Peers()[1].Inflight() != 0 || b.Inflight() != 0 {
		t.Error("slots are in use that were given back")
	}
}

// An address that a group has twice is two accounts, in its successor too.
func TestAccount_AnAddressTwice(t *testing.T) {
	old, next := pairOf(t, onPorts(upstream.PeerOptions{MaxConns: 1}, 1, 1), upstream.GroupOptions{}, upstream.GroupOptions{})
	for i, p := range old.Peers() {
		if !p.Take(start) {
			t.Errorf("peer %d has no slot", i)
		}
	}
	for i, p := range next.Peers() {
		if !p.Shares(old.Peers()[i]) || p.Take(start) {
			t.Errorf("peer %d does not share with the one of before", i)
		}
	}
}

// The request that waits in the old group is served before one of the new group, though it is the new one that frees the slot.
func TestAccount_WaitersOfBothGroupsAreServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := upstream.GroupOptions{Concurrency: 1, Queue: upstream.Queue{Length: 2}}
		old, next := pairOf(t, onPorts(upstream.PeerOptions{}, 1), queue, queue)
		p := next.Peers()[0]
		if !p.Take(time.Now()) {
			t.Fatal("no slot")
		}
		second, first := newPicker(next).asker().join(), newPicker(old).asker().join()
		began := time.Now()
		p.Free()
		got, err := first.wait.Await()
		if err != nil || got != old.Peers()[0] {
			t.Fatalf("got %v, %v in the old group", got, err)
		}
		got.Free()
		if got, err = second.wait.Await(); err != nil || got != p {
			t.Fatalf("got %v, %v in the new group", got, err)
		}
		got.Free()
		if took := time.Since(began); took != 0 {
			t.Errorf("got slots after %v, want at once", took)
		}
		old.Close()
		next.Close()
	})
}

// Whoever is told the state of a process, both groups act on it, and it is another process once.
func TestAccount_StateIsThatOfBothGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Uint64
		opts := upstream.GroupOptions{HoldTimeout: time.Minute, Runs: &runs}
		old, next := pairOf(t, onPorts(upstream.PeerOptions{State: upstream.Coming}, 1), opts, opts)
		a, b := old.Peers()[0], next.Peers()[0]
		held := newPicker(old).asker().join()
		b.SetState(upstream.Serving)
		a.SetState(upstream.Serving)
		if got, err := held.wait.Await(); err != nil || got != a {
			t.Fatalf("got %v, %v, want the peer that serves", got, err)
		}
		if a.Runs() != 1 || b.Runs() != 1 || runs.Load() != 1 {
			t.Errorf("got runs %d and %d of %d, want 1", a.Runs(), b.Runs(), runs.Load())
		}
		a.SetState(upstream.Away)
		if run, _ := b.LastEnd(); b.State() != upstream.Away || run != 1 {
			t.Errorf("got state %v and the end of run %d in the other group", b.State(), run)
		}
		drained := make(chan error, 1)
		go func() { drained <- b.Drained(t.Context()) }() // ends with Free
		synctest.Wait()
		if len(drained) > 0 {
			t.Error("a process is drained while a request of the old group is there")
		}
		old.Close()
		a.Free()
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}

func TestAccount_FailuresAreThoseOfBothGroups(t *testing.T) {
	opts := upstream.PeerOptions{MaxFails: 2, FailTimeout: time.Minute}
	old, next := pairOf(t, onPorts(opts, 1, 2), upstream.GroupOptions{}, upstream.GroupOptions{})
	a, b := old.Peers()[0], next.Peers()[0]
	a.Report(a.Runs(), upstream.Broken, start)
	if !b.Report(b.Runs(), upstream.Broken, start) || !a.Disabled(start) || !b.Disabled(start) || b.Failures() != 2 {
		t.Errorf("got %d failures, want 2 that disable the peer in both groups", b.Failures())
	}
	a.SetState(upstream.Away)
	a.SetState(upstream.Serving)
	if b.Disabled(start) || b.Fails() != 0 {
		t.Error("failures of a process are held against the next one")
	}
}

func TestAccount_VerdictOfProbesIsTakenOver(t *testing.T) {
	f := func(name string, before, after upstream.GroupOptions, verdict, want upstream.Health) {
		t.Helper()
		old := groupOf(t, 1, before)
		old.Peers()[0].SetHealth(old.Peers()[0].Runs(), verdict)
		after.Kin = []*upstream.Group{old}
		next := groupOf(t, 1, after)
		p := next.Peers()[0]
		if got := p.Health(); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		old.Peers()[0].SetHealth(old.Peers()[0].Runs(), 1-verdict)
		if got := p.Health(); got != want {
			t.Errorf("%s: the probes of the old group decide in the new one", name)
		}
		p.SetState(upstream.Coming)
		p.SetState(upstream.Serving)
		if old.Peers()[0].Health() != upstream.Healthy || p.Health() != upstream.Healthy {
			t.Errorf("%s: the verdict is held against the next process", name)
		}
	}
	probed, mandatory := upstream.GroupOptions{Probed: true}, upstream.GroupOptions{Probed: true, Initial: upstream.Unhealthy}
	f("unhealthy", probed, probed, upstream.Unhealthy, upstream.Unhealthy)
	f("has passed already", mandatory, mandatory, upstream.Healthy, upstream.Healthy)
	f("not probed any more", probed, upstream.GroupOptions{}, upstream.Unhealthy, upstream.Healthy)
	f("not probed before", upstream.GroupOptions{}, mandatory, upstream.Healthy, upstream.Unhealthy)
}

func TestAccount_MaxRequestsOfAProcessAreThoseOfBothGroups(t *testing.T) {
	f := func(before, after int, want uint64) {
		t.Helper()
		var spent sync.WaitGroup
		var calls atomic.Int64
		onSpent := func(*upstream.Peer) { calls.Add(1); spent.Done() }
		old, next := pairOf(t, onPorts(upstream.PeerOptions{}, 1),
			upstream.GroupOptions{MaxRequests: before, OnSpent: onSpent}, upstream.GroupOptions{MaxRequests: after, OnSpent: onSpent})
		spent.Add(1)
		for i := range uint64(20) {
			p := [...]*upstream.Peer{old.Peers()[0], next.Peers()[0]}[i%2]
			if i+1 == want && calls.Load() != 0 {
				t.Errorf("%d and %d: spent before request %d", before, after, want)
			}
			p.Take(start)
			p.Free()
			if i+1 == want {
				spent.Wait()
			}
		}
		if got := calls.Load(); got != 1 {
			t.Errorf("%d and %d: got %d calls, want one", before, after, got)
		}
	}
	f(5, 5, 5)
	f(100, 6, 6)
	f(7, 0, 7)
}

// A peer that leaves one group goes on in the other.
func TestAccount_GoneIsOneGroupsOwn(t *testing.T) {
	old, next := pairOf(t, onPorts(upstream.PeerOptions{MaxConns: 2}, 1, 2), upstream.GroupOptions{}, upstream.GroupOptions{})
	a, b := old.Peers()[0], next.Peers()[0]
	a.Take(start)
	old.Remove(a)
	if a.State() != upstream.Gone || a.Usable(start) || a.Take(start) || len(old.Leaving()) != 1 {
		t.Errorf("got a peer that is %v and can be used", a.State())
	}
	if b.State() != upstream.Serving || !b.Usable(start) || !b.Take(start) || b.Take(start) {
		t.Error("want one more slot in the other group")
	}
	b.Free()
	a.Free()
	if len(old.Leaving()) != 0 {
		t.Error("a peer that nobody uses is leaving still")
	}
	again, err := next.Add(onPorts(upstream.PeerOptions{}, 3)[0])
	if err != nil || again.Shares(b) {
		t.Errorf("got %v, %v for a new address", again, err)
	}
}

// TestAccount_ManyUsers: the limit holds whatever the groups do, while the process ends and comes back.
func TestAccount_ManyUsers(t *testing.T) {
	old, next := pairOf(t, onPorts(upstream.PeerOptions{MaxConns: 2}, 1), upstream.GroupOptions{}, upstream.GroupOptions{})
	var inside atomic.Int64
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() { // ends after its rounds
			p := [...]*upstream.Peer{old.Peers()[0], next.Peers()[0]}[i%2]
			for range 2000 {
				if !p.Take(start) {
					continue
				}
				if n := inside.Add(1); n > 2 {
					t.Errorf("got %d requests at the process, want 2 at most", n)
				}
				inside.Add(-1)
				p.Free()
			}
		})
	}
	users.Go(func() { // ends after its rounds
		for range 200 {
			old.Peers()[0].SetState(upstream.Coming)
			next.Peers()[0].SetState(upstream.Serving)
		}
	})
	users.Go(old.Close)
	users.Wait()
	if p := next.Peers()[0]; p.Inflight() != 0 || p.State() != upstream.Serving {
		t.Errorf("got %d in flight at a peer that is %v", p.Inflight(), p.State())
	}
}
