package balancer

import (
	"sync"

	"spillway/upstream"
)

// RoundRobin is nginx's smooth weighted round robin: of the weights 5, 1, 1 comes the sequence a a b a c a a. Each turn
// adds the effective weight of every usable peer to its current weight, takes the peer with the greatest current weight
// and takes the sum of the effective weights off it. One RoundRobin serves one group.
//
// Pick holds a lock for some dozens of nanoseconds per peer; .docs/adr/0015 has the figures of BenchmarkPick.
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
		total += r.add(p, hint)
		if current := r.turns[i].current; best == nil || current > greatest {
			best, greatest = p, current
		}
	}
	if best != nil {
		r.turns[best.Index()].current -= total
	}
	return best
}

// add gives p what each usable peer gets in a turn, and returns how much that is.
func (r *RoundRobin) add(p *upstream.Peer, hint *Hint) int64 {
	effective := p.EffectiveWeight(hint.Now)
	r.turnOf(p).current += effective
	return effective
}

// turnOf returns what is known of p. The turns of a peer that was not there before begin; those of the others go on.
func (r *RoundRobin) turnOf(p *upstream.Peer) *turn {
	i := p.Index()
	if missing := i + 1 - len(r.turns); missing > 0 {
		r.turns = append(r.turns, make([]turn, missing)...)
	}
	if r.turns[i].peer != p {
		r.turns[i] = turn{peer: p}
	}
	return &r.turns[i]
}

// charge makes the present turn that of a primary peer which a sticky request was bound to, so that the others get more of
// those that are not bound. As in nginx one such turn in a row counts: the peer of many clients does not sink without end.
func (r *RoundRobin) charge(peers []*upstream.Peer, bound *upstream.Peer, hint *Hint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := int64(totalWeight(peers) - bound.Weight())
	if r.turnOf(bound).current <= -others*upstream.WeightUnit {
		return
	}
	total := r.add(bound, hint)
	for _, p := range peers {
		if p != bound && !p.Backup() && p.Usable(hint.Now) {
			total += r.add(p, hint)
		}
	}
	r.turnOf(bound).current -= total
}
