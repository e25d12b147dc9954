package balancer

import (
	"net/netip"
	"strings"

	"spillway/upstream"
)

// IPHash is nginx's ip_hash: the first three bytes of the client's IPv4 address, or all of its IPv6 address, say which peer,
// in proportion to the weights, and the same client goes to the same peer as in nginx. When that one cannot take the request,
// the hash is hashed further, up to 20 times; then, and where there is only one peer to choose from, round robin chooses. A
// request that waits in the queue is offered one peer at a time, and so takes whichever is free first. One IPHash serves one
// group.
//
// Pick holds no lock, unless it comes to round robin.
type IPHash struct{ rest RoundRobin }

// NewIPHash returns a picker that goes by Hint.Client.
func NewIPHash() *IPHash { return &IPHash{} }

// Pick takes a slot of the peer for the client.
func (h *IPHash) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	total := totalWeight(peers)
	if len(peers) < 2 || total == 0 {
		return h.rest.Pick(peers, hint)
	}
	w, address := &hint.walk, addressOf(hint.Client)
	if !w.begun {
		w.begun, w.hash = true, 89 // as all numbers here nginx's
	}
	for !w.over() {
		for _, b := range address.bytes[:address.length] {
			w.hash = (w.hash*113 + uint32(b)) % 6271
		}
		if p := atPoint(peers, int(w.hash%uint32(total))); hint.take(p) {
			return p
		}
	}
	return h.rest.Pick(peers, hint)
}

// address is the part of a client's address that counts.
type address struct {
	bytes  [16]byte
	length int
}

// addressOf reads an address; one that is not of IP, such as that of a unix socket, is 0.0.0.
func addressOf(client string) address {
	if strings.HasPrefix(client, "unix:") { // no error is made for it
		return address{length: 3}
	}
	switch ip, _ := netip.ParseAddr(client); {
	case ip.Is6():
		return address{ip.As16(), 16}
	case ip.Is4():
		all := ip.As4()
		return address{[16]byte{all[0], all[1], all[2]}, 3}
	default:
		return address{length: 3}
	}
}
