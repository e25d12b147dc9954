package balancer

import (
	"math/rand/v2"

	"spillway/upstream"
)

// Random is nginx's "random" and "random two [least_conn]": a peer by chance, in proportion to the weights, or of two such
// peers the one with fewer requests in flight for its weight. What cannot take the request is passed over, up to 20 times;
// then, and where there is only one peer to choose from, round robin chooses. One Random serves one group.
//
// Pick holds no lock, unless it comes to round robin.
type Random struct {
	two  bool
	rest RoundRobin
}

// NewRandom returns a picker that takes any peer, NewRandomTwo one that takes the better of two.
func NewRandom() *Random { return &Random{} }

// NewRandomTwo is described at NewRandom.
func NewRandomTwo() *Random { return &Random{two: true} }

// Pick takes a slot of some peer.
func (r *Random) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	total := totalWeight(peers)
	if len(peers) < 2 || total == 0 {
		return r.rest.Pick(peers, hint)
	}
	var first *upstream.Peer
	for w := &hint.walk; !w.over(); {
		p := atPoint(peers, rand.IntN(total))
		switch {
		case !r.two:
			if hint.take(p) {
				return p
			}
		case p == first || hint.Tried.Has(p.Index()) || !p.Usable(hint.Now):
			w.passed++
		case first == nil:
			first = p
		default:
			if p.Inflight()*int64(first.Weight()) > first.Inflight()*int64(p.Weight()) {
				p = first
			}
			if hint.take(p) {
				return p
			}
			first = nil
		}
	}
	return r.rest.Pick(peers, hint)
}
