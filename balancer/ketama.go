package balancer

import (
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"spillway/upstream"
)

// Ketama is nginx's "hash KEY consistent": when a peer is added or removed, few keys move. Each peer has 160 points for each
// unit of its weight on a ring of hashes, and a key belongs to the first point from its own hash on. The points are those of
// nginx, so the same key goes to the same peer as there. When that one cannot take the request, the next point is asked, up
// to 20 times; then, and where there is no key or only one peer to choose from, round robin chooses. A request that waits in
// the queue is offered one peer at a time, and so takes whichever is free first. One Ketama serves one group.
//
// Pick holds no lock, unless it comes to round robin or several peers have the same address.
type Ketama struct {
	rest RoundRobin
	ring atomic.Pointer[ring] // of the peers that were given last; it is made anew for others
}

// NewKetama returns a picker that goes by Hint.Key.
func NewKetama() *Ketama { return &Ketama{} }

// Pick takes a slot of the peer for the key.
func (k *Ketama) Pick(peers []*upstream.Peer, hint *Hint) *upstream.Peer {
	if len(peers) < 2 || len(hint.Key) == 0 {
		return k.rest.Pick(peers, hint)
	}
	ring := k.ringOf(peers)
	if len(ring.points) == 0 {
		return k.rest.Pick(peers, hint)
	}
	w := &hint.walk
	if !w.begun {
		w.begun, w.hash = true, ring.find(crc32.ChecksumIEEE(hint.Key))
	}
	for ; !w.over(); w.hash++ {
		there := ring.servers[ring.points[int(w.hash)%len(ring.points)].server]
		if len(there) > 1 {
			if p := k.rest.Pick(there, hint); p != nil {
				return p
			}
			w.passed++
		} else if hint.take(there[0]) {
			return there[0]
		}
	}
	return k.rest.Pick(peers, hint)
}

const (
	pointsPerWeight = 160 // nginx's number

	// mostPoints bounds the ring, which nginx does not: the weight of an SRV record may be 65535. It is met by weights of 1638 all
	// together; with more than that the shares are the same, and the points fewer.
	mostPoints = 1 << 18
)

// ring is the ring of some peers.
type ring struct {
	of      []*upstream.Peer
	servers [][]*upstream.Peer // by address, in the order of the peers
	points  []point            // by hash, each hash once
}

type point struct {
	hash   uint32
	server int32
}

// ringOf returns the ring of the peers. Group.Peers returns the same slice until the peers change, so comparing the slices
// is enough; two goroutines may make the same ring.
func (k *Ketama) ringOf(peers []*upstream.Peer) *ring {
	if r := k.ring.Load(); r != nil && len(r.of) == len(peers) && &r.of[0] == &peers[0] {
		return r
	}
	r := newRing(peers)
	k.ring.Store(r)
	return r
}

func newRing(peers []*upstream.Peer) *ring {
	r := &ring{of: peers}
	total := totalWeight(peers)
	known := map[string]int32{}
	for _, p := range peers {
		if p.Backup() {
			continue
		}
		server, again := known[p.Address()]
		if !again {
			server = int32(len(r.servers))
			known[p.Address()] = server
			r.servers = append(r.servers, nil)
		}
		r.servers[server] = append(r.servers[server], p)
		points := p.Weight() * pointsPerWeight
		if total > mostPoints/pointsPerWeight {
			points = max(p.Weight()*mostPoints/total, 1)
		}
		r.addPoints(p.Address(), server, points)
	}
	slices.SortStableFunc(r.points, func(a, b point) int { return cmp.Compare(a.hash, b.hash) })
	r.points = slices.CompactFunc(r.points, func(a, b point) bool { return a.hash == b.hash })
	return r
}

// addPoints adds the points of a peer. The hash of each is that of host, port and the hash before, as in
// Cache::Memcached::Fast.
func (r *ring) addPoints(address string, server int32, points int) {
	host, port := splitServer(address)
	base := crc32.ChecksumIEEE([]byte(host + "\x00" + port))
	var before [4]byte
	for range points {
		hash := crc32.Update(base, crc32.IEEETable, before[:])
		r.points = append(r.points, point{hash, server})
		binary.LittleEndian.PutUint32(before[:], hash)
	}
}

// splitServer splits an address as nginx does for the points: what follows the last colon is the port, if it has digits only.
func splitServer(address string) (host, port string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return path, ""
	}
	if i := strings.LastIndexByte(address, ':'); i >= 0 && strings.Trim(address[i+1:], "0123456789") == "" {
		return address[:i], address[i+1:]
	}
	return address, ""
}

// find returns the first point from hash on; one past the last is the first again.
func (r *ring) find(hash uint32) uint32 {
	return uint32(sort.Search(len(r.points), func(i int) bool { return r.points[i].hash >= hash }))
}
