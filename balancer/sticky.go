package balancer

import "spillway/upstream"

// Sticky is nginx's sticky: a request goes to the peer that Hint.Route names, also when that one is drained. Without a route,
// and when the peer is unknown, out of use, full or tried, the method chooses as if the request were not bound. One Sticky
// serves one group.
type Sticky struct{ method Picker }

// NewSticky returns a picker that leaves to method what is not bound.
func NewSticky(method Picker) *Sticky { return &Sticky{method: method} }

// Pick takes a slot of the peer that the request is bound to, or of one that the method chooses.
func (s *Sticky) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	if len(hint.Route) > 0 {
		for _, p := range peers {
			if p.Route() != string(hint.Route) || hint.Tried.Has(p.Index()) || !p.UsableByBound(hint.Now) {
				continue
			}
			if p.Take(hint.Now) {
				if turns, ok := s.method.(*RoundRobin); ok && !p.Backup() {
					turns.charge(peers, p, hint)
				}
				return p
			}
		}
	}
	return s.method.Pick(peers, hint)
}
