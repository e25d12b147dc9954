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
	mu      sync.Mutex    // guards all below
	current record[int64] // weight
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
		if p.Backup() != backups || hint.Tried.Has(p.Index()) || !p.Usable(hint.Now) {
			continue
		}
		current, effective := r.add(p, hint)
		total += effective
		if best == nil || current > greatest {
			best, greatest = p, current
		}
	}
	if best != nil {
		*r.current.of(best) -= total
	}
	return best
}

// add gives p what each usable peer gets in a turn, and returns what it has now and how much it got.
func (r *RoundRobin) add(p *upstream.Peer, hint *Hint) (current, effective int64) {
	effective = p.EffectiveWeight(hint.Now)
	weight := r.current.of(p)
	*weight += effective
	return *weight, effective
}

// charge makes the present turn that of a primary peer which a sticky request was bound to, so that the others get more of
// those that are not bound. As in nginx one such turn in a row counts: the peer of many clients does not sink without end.
func (r *RoundRobin) charge(peers []*upstream.Peer, bound *upstream.Peer, hint *Hint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := int64(totalWeight(peers) - bound.Weight())
	if *r.current.of(bound) <= -others*upstream.WeightUnit {
		return
	}
	_, total := r.add(bound, hint)
	for _, p := range peers {
		if p != bound && !p.Backup() && p.Usable(hint.Now) {
			_, effective := r.add(p, hint)
			total += effective
		}
	}
	*r.current.of(bound) -= total
}
