package upstream_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// add adds a peer that nobody listens at.
func add(t *testing.T, g *upstream.Group, opts upstream.PeerOptions) *upstream.Peer {
	t.Helper()
	opts.Address = "127.0.0.1:1"
	p, err := g.Add(opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func indexes(peers []*upstream.Peer) (all []int) {
	for _, p := range peers {
		all = append(all, p.Index())
	}
	return all
}

// TestGroup_IndexBelongsToOne: the index of a peer that left is used again, but not while the peer is.
func TestGroup_IndexBelongsToOne(t *testing.T) {
	g := groupOf(t, 3, upstream.GroupOptions{})
	before := g.Peers()
	second := before[1]
	second.Take(start)
	if !g.Remove(second) || g.Remove(second) {
		t.Error("want a peer that can be removed once")
	}
	add(t, g, upstream.PeerOptions{})
	if got := indexes(g.Peers()); !slices.Equal(got, []int{0, 2, 3}) {
		t.Errorf("got indexes %v, want 1 left out while its peer is in use", got)
	}
	if got := g.Leaving(); len(got) != 1 || got[0] != second || second.State() != upstream.Gone {
		t.Errorf("got %d peers leaving, want the one in use", len(got))
	}
	second.Free()
	if len(g.Leaving()) != 0 {
		t.Error("a peer is leaving that nobody uses")
	}
	add(t, g, upstream.PeerOptions{})
	if got := indexes(g.Peers()); !slices.Equal(got, []int{0, 2, 3, 1}) {
		t.Errorf("got indexes %v, want 1 used again", got)
	}
	if !slices.Equal(indexes(before), []int{0, 1, 2}) {
		t.Error("the snapshot from before has changed")
	}
}

func TestGroup_GonePeerIsUsedByNobody(t *testing.T) {
	g := groupOf(t, 2, upstream.GroupOptions{})
	p := g.Peers()[0]
	p.Take(start)
	g.Remove(p)
	p.SetState(upstream.Serving)
	if p.Take(start) || p.Usable(start) || p.State() != upstream.Gone {
		t.Error("a peer that was removed can be used")
	}
	if _, err := p.Lease(long(), false); !errors.Is(err, upstream.ErrNotServing) {
		t.Errorf("lease: got %v, want an attempt that is none", err)
	}
	if p.Report(p.Runs(), upstream.Broken, start) {
		t.Error("a peer that was removed is said to be disabled from now on")
	}
	p.Free()
	if err := p.Drained(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestGroup_SingleFollowsTheNumberOfPeers: failures disable nobody while there is nobody else.
func TestGroup_SingleFollowsTheNumberOfPeers(t *testing.T) {
	g := groupOf(t, 0, upstream.GroupOptions{})
	opts := upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Hour}
	p := add(t, g, opts)
	if p.Report(p.Runs(), upstream.Broken, at(0)) || !p.Usable(at(0)) {
		t.Error("the only peer was disabled")
	}
	other := add(t, g, opts)
	if !p.Report(p.Runs(), upstream.Broken, at(1)) || p.Usable(at(1)) {
		t.Error("one of two was not disabled")
	}
	g.Remove(other)
	if !p.Usable(at(1)) {
		t.Error("the only peer that is left is not usable")
	}
}

func TestGroup_AddRefusesWhatCannotWork(t *testing.T) {
	g := groupOf(t, 1, upstream.GroupOptions{})
	if _, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1"}); err == nil {
		t.Error("an address without a port: got no error")
	}
	g.Close()
	if _, err := g.Add(upstream.PeerOptions{Address: "127.0.0.1:1"}); err == nil {
		t.Error("a group that is closed: got no error")
	}
	if got := len(g.Peers()); got != 1 {
		t.Errorf("got %d peers, want 1", got)
	}
}

// TestQueue_NewcomerServesThoseThatWait: for a slot, and for the first peer of all.
func TestQueue_NewcomerServesThoseThatWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 0, queued())
		q := newPicker(g)
		held := q.asker().join()
		time.Sleep(10 * time.Second)
		first := add(t, g, upstream.PeerOptions{})
		held.want(t, 0, nil)
		waits, asked := q.asker().join(), time.Now()
		add(t, g, upstream.PeerOptions{})
		waits.want(t, 1, nil)
		moved := q.asker().join()
		g.Remove(first)
		first.Free() // to nobody
		third := add(t, g, upstream.PeerOptions{})
		moved.want(t, 0, nil)
		if third.Index() != 0 || !time.Now().Equal(asked) {
			t.Errorf("got index %d after %v, want that of the first at once", third.Index(), time.Since(asked))
		}
		for _, p := range g.Peers() {
			g.Remove(p)
		}
		q.asker().join().want(t, -1, upstream.ErrNoProcess)
		if got := time.Since(asked); got < 30*time.Second || got > 31*time.Second {
			t.Errorf("gave up after %v without peers, want the 30 s of hold_timeout", got)
		}
	})
	g := groupOf(t, 0, upstream.GroupOptions{})
	newPicker(g).asker().join().want(t, -1, upstream.ErrNoPeers)
}

// TestGroup_PeersComeAndGo: 64 requests at a time in a group that has between one and six peers; each gets a peer that is in the
// group or was a moment ago, no index is that of two peers in use, and no slot is lost.
func TestGroup_PeersComeAndGo(t *testing.T) {
	opts := queued()
	opts.Concurrency = 3
	g := groupOf(t, 1, opts)
	q := newPicker(g)
	var users, changers sync.WaitGroup
	var mu sync.Mutex
	var all []*upstream.Peer
	users64(t, q, &users)
	ended := make(chan struct{})
	for range 2 {
		changers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				p := add(t, g, upstream.PeerOptions{})
				older := g.Peers()[0]
				if older == p || !g.Remove(older) {
					continue
				}
				mu.Lock()
				all = append(all, older)
				mu.Unlock()
				if len(g.Peers()) > 4 {
					older = g.Peers()[1]
					g.Remove(older)
				}
				if err := older.Drained(t.Context()); err != nil {
					t.Error(err)
				}
				// Whoever is about to learn that it is gone has a slot for a moment: that none is lost is seen below.
				if older.Take(time.Now()) {
					t.Error("a peer is used that was removed")
				}
			}
		})
	}
	users.Wait()
	close(ended)
	changers.Wait()
	for _, p := range slices.Concat(all, g.Peers()) {
		if p.Inflight() != 0 {
			t.Errorf("got %d slots in use, want none", p.Inflight())
		}
	}
	if g.Crowded() || len(g.Leaving()) != 0 {
		t.Error("somebody waits, or leaves for ever")
	}
}

// users64 starts 64 goroutines that ask for peers and give them back.
func users64(t *testing.T, q picker, users *sync.WaitGroup) {
	t.Helper()
	var mu sync.Mutex
	inUse := map[int]*upstream.Peer{} // by index
	count := map[*upstream.Peer]int{}
	for range 64 {
		users.Go(func() {
			for range 200 {
				p, err := q.asker().ask()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if other := inUse[p.Index()]; other != nil && other != p {
					t.Errorf("index %d is that of two peers in use", p.Index())
				}
				inUse[p.Index()] = p
				if count[p]++; count[p] > 3 {
					t.Errorf("got %d slots of a peer, want at most 3", count[p])
				}
				mu.Unlock()
				mu.Lock()
				if count[p]--; count[p] == 0 {
					delete(count, p)
					delete(inUse, p.Index())
				}
				mu.Unlock()
				p.Free()
			}
		})
	}
}

// TestGroup_ReadersSeeWholeSnapshots: who looks at the peers while they change sees each index once.
func TestGroup_ReadersSeeWholeSnapshots(t *testing.T) {
	g := groupOf(t, 2, upstream.GroupOptions{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			picker := balancer.NewRoundRobin()
			for range 2000 {
				peers := g.Peers()
				all := indexes(peers)
				if slices.Sort(all); len(slices.Compact(all)) != len(peers) || len(peers) < 2 {
					t.Errorf("got indexes %v", all)
				}
				if p := picker.Pick(peers, &balancer.Hint{Now: start}); p != nil {
					p.Free()
				}
				g.Leaving()
			}
		})
	}
	for range 2000 {
		g.Remove(add(t, g, upstream.PeerOptions{}))
	}
	readers.Wait()
}
