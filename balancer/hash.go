package balancer

import (
	"hash/crc32"
	"strconv"

	"spillway/upstream"
)

// Hash is nginx's "hash KEY": the CRC-32 of Hint.Key says which peer, in proportion to the weights, and the same key goes to
// the same peer as in nginx. When that one cannot take the request, the key is hashed once more with a number before it, up
// to 20 times; then, and where there is no key or only one peer to choose from, round robin chooses. A request that waits in
// the queue is offered one peer at a time, and so takes whichever is free first. One Hash serves one group.
//
// Pick holds no lock, unless it comes to round robin.
type Hash struct{ rest RoundRobin }

// NewHash returns a picker that goes by Hint.Key.
func NewHash() *Hash { return &Hash{} }

// Pick takes a slot of the peer for the key.
func (h *Hash) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	total := totalWeight(peers)
	if len(peers) < 2 || total == 0 || len(hint.Key) == 0 {
		return h.rest.Pick(peers, hint)
	}
	for w := &hint.walk; !w.over(); {
		w.hash += keyHash(w, hint.Key)
		w.rehash++
		if p := atPoint(peers, int(w.hash%uint32(total))); hint.take(p) {
			return p
		}
	}
	return h.rest.Pick(peers, hint)
}

// keyHash is the hash of Cache::Memcached, which nginx took over: the upper half of the CRC without its sign.
func keyHash(w *walk, key []byte) uint32 {
	sum := uint32(0)
	if w.rehash > 0 {
		sum = crc32.Update(sum, crc32.IEEETable, strconv.AppendUint(w.digits[:0], w.rehash, 10))
	}
	return crc32.Update(sum, crc32.IEEETable, key) >> 16 & 0x7fff
}
