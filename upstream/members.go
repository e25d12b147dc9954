package upstream

import (
	"errors"
	"slices"
)

// The peers of a group may come and go, as the names do that they were resolved from:
//
//  1. Add gives a new peer an index, and shows it to those who choose; requests that wait get it at once.
//  2. Remove hides a peer from those who choose, and makes it Gone: nobody takes a slot of it any more, a request that was about
//     to dial it chooses again, and its idle connections are closed. Requests that are in flight end.
//  3. Until they have, the peer is among Leaving, and its index belongs to nobody else.

// errGroupClosed is the error of Add for a group that nobody asks any more.
var errGroupClosed = errors.New("group is closed")

// Peers returns the peers at this moment, those of the configuration first; the slice is never changed.
func (g *Group) Peers() []*Peer { return *g.peers.Load() }

// single says that there is one peer only: failures disable nothing.
func (g *Group) single() bool { return len(g.Peers()) == 1 }

// Add brings a peer into the group.
func (g *Group) Add(opts PeerOptions) (*Peer, error) {
	p, err := g.add(opts)
	if err != nil {
		return nil, err
	}
	if q := &g.queue; p.State() == Serving && q.waiting.Load() > 0 {
		q.changed(p, Serving)
	}
	return p, nil
}

func (g *Group) add(opts PeerOptions) (*Peer, error) {
	g.membership.Lock()
	defer g.membership.Unlock()
	if g.closed.Load() {
		return nil, errGroupClosed
	}
	peers := g.Peers()
	p, err := newPeer(g, peers, g.freeIndex(peers), opts)
	if err != nil {
		return nil, err
	}
	more := slices.Concat(peers, []*Peer{p})
	g.peers.Store(&more)
	return p, nil
}

// Remove takes a peer out of the group; false: it is not in it, or no more. What is in flight goes on, Drained waits for its
// end. A request that waits is lost only when it waited for this peer and there is no other: whoever replaces peers adds the
// new ones first.
func (g *Group) Remove(p *Peer) bool {
	if !g.remove(p) {
		return false
	}
	p.vanish()
	return true
}

// vanish makes the peer Gone.
func (p *Peer) vanish() {
	p.gone.Store(true)
	p.leave()
	p.follow(Serving, Gone)
}

func (g *Group) remove(p *Peer) bool {
	g.membership.Lock()
	defer g.membership.Unlock()
	peers := g.Peers()
	i := slices.Index(peers, p)
	if i < 0 {
		return false
	}
	fewer := slices.Concat(peers[:i], peers[i+1:])
	g.peers.Store(&fewer)
	g.leaving = append(g.leaving, p)
	return true
}

// Leaving returns the peers that were removed and still have slots in use.
func (g *Group) Leaving() []*Peer {
	g.membership.Lock()
	defer g.membership.Unlock()
	g.forgetDrained()
	return slices.Clone(g.leaving)
}

// forgetDrained drops the peers that nobody uses any more; the caller holds the lock.
func (g *Group) forgetDrained() {
	g.leaving = slices.DeleteFunc(g.leaving, func(p *Peer) bool { return p.gone.Load() && p.Inflight() == 0 })
}

// freeIndex returns the smallest index that no peer has; the caller holds the lock.
func (g *Group) freeIndex(peers []*Peer) int {
	g.forgetDrained()
	has := func(index int) func(*Peer) bool { return func(p *Peer) bool { return p.index == index } }
	for index := 0; ; index++ {
		if !slices.ContainsFunc(peers, has(index)) && !slices.ContainsFunc(g.leaving, has(index)) {
			return index
		}
	}
}
