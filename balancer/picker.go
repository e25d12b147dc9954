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

// Hint is what a picker may know of an attempt.
type Hint struct {
	Now   time.Time // of the attempt
	Tried Tried     // the peers that this exchange has tried
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
