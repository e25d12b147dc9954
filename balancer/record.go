package balancer

import "spillway/upstream"

// record is what a picker keeps of each peer, by Peer.Index. The zero value is empty.
type record[T any] []entry[T]

type entry[T any] struct {
	peer *upstream.Peer // another one may have had the index before
	kept T
}

// of returns what is kept of p: the zero value for a peer that was not there before.
func (r *record[T]) of(p *upstream.Peer) *T {
	i := p.Index()
	if missing := i + 1 - len(*r); missing > 0 {
		*r = append(*r, make([]entry[T], missing)...)
	}
	e := &(*r)[i]
	if e.peer != p {
		*e = entry[T]{peer: p}
	}
	return &e.kept
}
