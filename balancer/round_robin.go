package balancer

import (
	"sync"

	"spillway/upstream"
)

// RoundRobin is nginx's smooth weighted round robin: of the weights 5, 1, 1 comes the sequence a a b a c a a. Each turn
// adds the effective weight of every usable peer to its current weight, takes the peer with the greatest current weight
// and takes the sum of the effective weights off it. One RoundRobin serves one group.
//
// Pick holds a lock for some dozens of nanoseconds per peer; BenchmarkRoundRobin shows them.
type RoundRobin struct {
	mu    sync.Mutex // guards all below
	turns []turn     // by Peer.Index
}

// turn is what is known of a peer.
type turn struct {
	peer    *upstream.Peer // another one may have had the index before
	current int64          // weight
}

// NewRoundRobin returns a picker that begins with the first peer.
func NewRoundRobin() *RoundRobin { return &RoundRobin{} }

// Pick takes a slot of the next peer; of backup peers only when no other peer is usable.
func (r *RoundRobin) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		best := r.next(peers, hint, false)
		if best == nil {
			best = r.next(peers, hint, true)
		}
		if best == nil || best.Take(hint.Now) {
			return best
		}
		// Its process has ended between the two; it is not usable in the next turn.
	}
}

// next is one turn among the primary or the backup peers.
func (r *RoundRobin) next(peers []*upstream.Peer, hint *Hint, backups bool) *upstream.Peer {
	var best *upstream.Peer
	greatest, total := int64(0), int64(0)
	for _, p := range peers {
		i := p.Index()
		if p.Backup() != backups || hint.Tried.Has(i) || !p.Usable(hint.Now) {
			continue
		}
		if i >= len(r.turns) || r.turns[i].peer != p {
			r.welcome(p)
		}
		t := &r.turns[i]
		effective := p.EffectiveWeight()
		total += effective
		t.current += effective
		if best == nil || t.current > greatest {
			best, greatest = p, t.current
		}
	}
	if best != nil {
		r.turns[best.Index()].current -= total
	}
	return best
}

// welcome begins the turns of a peer that was not there before; those of the others go on.
func (r *RoundRobin) welcome(p *upstream.Peer) {
	if missing := p.Index() + 1 - len(r.turns); missing > 0 {
		r.turns = append(r.turns, make([]turn, missing)...)
	}
	r.turns[p.Index()] = turn{peer: p}
}
