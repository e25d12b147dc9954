package balancer

import (
	"sync"
	"time"

	"spillway/upstream"
)

// least takes the peer that has the least load for its share; where several have the same, it is their turn as in RoundRobin.
type least struct {
	load func(p *upstream.Peer, now time.Time) int64
	took func(p *upstream.Peer, now time.Time) // a slot of p; nil: nobody asks

	mu     sync.Mutex // guards all below, and what load and took use
	turns  RoundRobin // under mu, not under its own lock
	lowest []*upstream.Peer
}

// LeastConn is nginx's least_conn: the peer with the fewest requests in flight in proportion to its weight. One LeastConn
// serves one group. Pick holds a lock for some dozens of nanoseconds per peer; .docs/adr/0015 has the figures of BenchmarkPick.
type LeastConn struct{ least }

// NewLeastConn returns a picker that goes by the requests in flight.
func NewLeastConn() *LeastConn {
	return &LeastConn{least{load: func(p *upstream.Peer, _ time.Time) int64 { return p.Inflight() }}}
}

// Pick takes a slot of the peer with the least load; of backup peers only when no other peer is usable.
func (l *least) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		l.findLowest(peers, hint, false)
		if len(l.lowest) == 0 {
			l.findLowest(peers, hint, true)
		}
		if len(l.lowest) == 0 {
			return nil
		}
		best := l.lowest[0]
		if len(l.lowest) > 1 {
			best = l.turns.next(l.lowest, hint, best.Backup())
		}
		if best != nil && best.Take(hint.Now) {
			if l.took != nil {
				l.took(best, hint.Now)
			}
			return best
		}
		// It has become unusable meanwhile, and is not among the lowest of the next round.
	}
}

// findLowest fills l.lowest with the usable primary or backup peers that have the least load.
func (l *least) findLowest(peers []*upstream.Peer, hint *Hint, backups bool) {
	l.lowest = l.lowest[:0]
	var least, share int64
	for _, p := range peers {
		if p.Backup() != backups || hint.Tried.Has(p.Index()) || !p.Usable(hint.Now) {
			continue
		}
		load, its := l.load(p, hint.Now), p.Share(hint.Now)
		switch {
		case len(l.lowest) == 0 || load*share < least*its:
			l.lowest = append(l.lowest[:0], p)
			least, share = load, its
		case load*share == least*its:
			l.lowest = append(l.lowest, p)
		}
	}
}
