package balancer

import (
	"time"

	"spillway/upstream"
)

// Picker chooses a peer and takes one of its slots, which the caller gives back with Peer.Free; nil means that nobody is
// left.
type Picker interface {
	Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer
}

// Hint is what a picker may know of an attempt. One Hint goes through all attempts of an exchange; Reset prepares it for the
// next one.
type Hint struct {
	Now    time.Time // of the attempt
	Tried  Tried     // the peers that this exchange has tried
	Client string    // the client's address as text, nginx's $remote_addr; IPHash goes by it
	Key    []byte    // the value of nginx's KEY; Hash and Ketama go by it
	Route  []byte    // the cookie of a sticky upstream: Peer.Route of the peer that the request is bound to; empty: to none

	walk walk
}

// Reset forgets the exchange and keeps the memory.
func (h *Hint) Reset() {
	h.Tried.Clear()
	h.Client, h.Key, h.Route, h.walk = "", nil, nil, walk{}
}

// walk is how far an exchange has come on its way from one peer to the next, with a picker that goes by a hash or by chance:
// as in nginx each attempt goes on where the one before has stopped.
type walk struct {
	begun  bool
	hash   uint32
	rehash uint64   // how often hash was made
	passed int      // peers that were passed over
	digits [20]byte // of rehash; here, because what is given to the CRC leaves the stack
}

// mostPassed is how many peers an exchange may pass over in its walk; nginx's number. Then it takes the next of round robin.
const mostPassed = 20

// over says whether the walk has come to its end.
func (w *walk) over() bool { return w.passed > mostPassed }

// take takes a slot of p for the exchange, or passes it over.
func (h *Hint) take(p *upstream.Peer) bool {
	if !p.Backup() && !h.Tried.Has(p.Index()) && p.Usable(h.Now) && p.Take(h.Now) {
		return true
	}
	h.walk.passed++
	return false
}

// totalWeight returns the sum of the weights of the primary peers. As in nginx those that are out of use count, so that the
// keys of the others stay where they are.
func totalWeight(peers []*upstream.Peer) int {
	total := 0
	for _, p := range peers {
		if !p.Backup() {
			total += p.Weight()
		}
	}
	return total
}

// atPoint returns the primary peer at a point between 0 and the total weight, in which each has as much room as its weight.
func atPoint(peers []*upstream.Peer, point int) *upstream.Peer {
	for _, p := range peers {
		if p.Backup() {
			continue
		}
		if point -= p.Weight(); point < 0 {
			return p
		}
	}
	return nil
}

// Tried is a set of peers, by Peer.Index. The zero value is empty.
type Tried struct {
	first uint64   // peers 0 to 63
	more  []uint64 // the rest, in words of 64
}

// Add puts a peer into the set.
func (t *Tried) Add(index int) {
	if index < 64 {
		t.first |= 1 << index
		return
	}
	word := index/64 - 1
	for len(t.more) <= word {
		t.more = append(t.more, 0)
	}
	t.more[word] |= 1 << (index % 64)
}

// Has says whether a peer is in the set.
func (t *Tried) Has(index int) bool {
	if index < 64 {
		return t.first&(1<<index) != 0
	}
	word := index/64 - 1
	return word < len(t.more) && t.more[word]&(1<<(index%64)) != 0
}

// Clear empties the set and keeps its memory.
func (t *Tried) Clear() {
	t.first = 0
	clear(t.more)
}
