package upstream

import (
	"math"
	"net/netip"
	"time"
)

// Requests wait in lanes, and in each lane the clients take turns:
//
//  1. Express is served before Normal, and Normal before Bulk; but a lane in which somebody waits is passed over at most
//     overtakes times in a row, so that none starves.
//  2. In a lane the turn is that of the client who waits longest for it. A client with several requests begins to wait for its
//     next turn when it got the last, so that its second request yields to the first ones of others. Where no client has more
//     than one, that is the order in which they came.
//  3. Bulk requests leave some slots to the others (TakeBulk), however many of them wait.

// Lane says how urgent requests are.
type Lane uint8

// The lanes.
const (
	Normal Lane = iota
	Express
	Bulk
	lanes
)

// String returns the lane as the configuration and status pages show it.
func (l Lane) String() string { return [...]string{"normal", "express", "bulk"}[l] }

// overtakes is how many grants pass a lane over before it is its turn: a page with eight requests in front of a report hardly
// delays it, and a stream of them does not stop it.
const overtakes = 8

const defaultReserve = 25 // percent of the slots: two of eight processes

// line is what waits in one lane: the oldest request of each client, by their turns. Further requests of a client hang behind
// its oldest.
type line struct {
	first, last *Waiter
	waiting     int // those behind others included
	passed      int // grants of more urgent lanes since the last one here
}

// insert puts w behind those whose turn is earlier.
func (l *line) insert(w *Waiter) {
	before := l.last
	for before != nil && before.turn.After(w.turn) { // nearly never: only a retry is older than the last
		before = before.before
	}
	w.before, w.behind = before, l.first
	if before != nil {
		w.behind, before.behind = before.behind, w
	} else {
		l.first = w
	}
	if w.behind != nil {
		w.behind.before = w
	} else {
		l.last = w
	}
}

func (l *line) remove(w *Waiter) {
	if w.before != nil {
		w.before.behind = w.behind
	} else {
		l.first = w.behind
	}
	if w.behind != nil {
		w.behind.before = w.before
	} else {
		l.last = w.before
	}
	w.before, w.behind = nil, nil
}

// share is what a client has in the queue.
type share struct {
	waiting  int
	youngest [lanes]*Waiter
}

// insert puts w into its lane.
func (q *queue) insert(w *Waiter, now time.Time) {
	w.turn, w.queued, w.waits, w.joined, w.seen = w.Since, true, false, now, now
	q.waiting.Add(1)
	l := &q.lines[w.Lane]
	l.waiting++
	if !w.Client.IsValid() {
		l.insert(w)
		return
	}
	s := q.shares[w.Client]
	if s == nil {
		if q.shares == nil {
			q.shares = map[netip.Addr]*share{}
		}
		s = &share{}
		q.shares[w.Client] = s
	}
	s.waiting++
	for w.older = s.youngest[w.Lane]; w.older != nil && w.older.Since.After(w.Since); w.older = w.older.older {
		w.younger = w.older
	}
	if w.younger == nil {
		s.youngest[w.Lane] = w
	} else {
		w.younger.older = w
	}
	if w.older != nil {
		w.older.younger = w
		return
	}
	if w.younger != nil {
		l.remove(w.younger)
	}
	l.insert(w)
}

// remove takes w out. The next request of its client takes its place, or waits for the client's next turn if w was served.
func (q *queue) remove(w *Waiter, served bool, now time.Time) {
	l := &q.lines[w.Lane]
	if w.older == nil {
		l.remove(w)
		if next := w.younger; next != nil {
			next.turn = w.turn
			if served {
				next.turn = now
			}
			l.insert(next)
		}
	} else {
		w.older.younger = w.younger
	}
	if s := q.shares[w.Client]; s != nil {
		if s.waiting--; s.waiting == 0 {
			delete(q.shares, w.Client)
		}
		if s.youngest[w.Lane] == w {
			s.youngest[w.Lane] = w.older
		}
	}
	if w.younger != nil {
		w.younger.older = w.older
	}
	w.older, w.younger, w.queued = nil, nil, false
	q.waiting.Add(-1)
	if l.waiting--; l.waiting == 0 {
		l.passed = 0
	}
}

// order returns the lanes in the order in which the next slot is offered to them.
func (q *queue) order() [lanes]Lane {
	switch {
	case q.lines[Bulk].passed >= overtakes:
		return [...]Lane{Bulk, Express, Normal}
	case q.lines[Normal].passed >= overtakes:
		return [...]Lane{Normal, Express, Bulk}
	default:
		return [...]Lane{Express, Normal, Bulk}
	}
}

// pass notes that a lane got a slot, which the less urgent ones did not.
func (q *queue) pass(served Lane) {
	q.lines[served].passed = 0
	for _, lane := range []Lane{Normal, Bulk} {
		less := served == Express || served == Normal && lane == Bulk
		if l := &q.lines[lane]; less && l.waiting > 0 {
			l.passed++
		}
	}
}

// all returns the requests that wait, in no particular order; it is valid until the next call.
func (q *queue) all() []*Waiter {
	q.list = q.list[:0]
	for i := range q.lines {
		for head := q.lines[i].first; head != nil; head = head.behind {
			for w := head; w != nil; w = w.younger {
				q.list = append(q.list, w)
			}
		}
	}
	return q.list
}

// TakeBulk lets a bulk request take a slot, unless as many have one as may: the reserve of the queue stays free for others. The
// request takes its slot afterwards, or gives this back with FreeBulk at once; else it does so just before Peer.Free. The count
// is exact. When processes end, those that had been allowed before may have more of what is left.
func (g *Group) TakeBulk(now time.Time) bool {
	for {
		n := g.bulk.Load()
		if n >= g.bulkLimit(now) {
			return false
		}
		if g.bulk.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// FreeBulk gives back what TakeBulk took.
func (g *Group) FreeBulk() {
	if g.bulk.Add(-1) < 0 {
		panic("upstream: bulk slot freed twice")
	}
}

// bulkLimit is the number of slots that bulk requests may have. A single slot cannot be shared, and where a peer has no limit
// there is always a slot.
func (g *Group) bulkLimit(now time.Time) int64 {
	var slots [2]int64 // of peers, and of backup peers
	for _, p := range g.Peers() {
		if p.down || p.drain || p.State() != Serving || p.PassedOver(now) {
			continue
		}
		if p.limit == noLimit {
			return math.MaxInt64
		}
		i := 0
		if p.backup {
			i = 1
		}
		slots[i] += int64(p.limit)
	}
	total := slots[0]
	if total == 0 {
		total = slots[1]
	}
	if total < 2 || g.queue.reserve == 0 {
		return total
	}
	return max(total-max(total*int64(g.queue.reserve)/100, 1), 1)
}
