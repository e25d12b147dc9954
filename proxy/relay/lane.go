package relay

import (
	"sync/atomic"
	"time"

	"spillway/upstream"
)

// A location with [lane auto] finds its lane by itself: it compares how long its requests hold a slot, as a moving mean, with the
// median of all requests of the upstream. Far above the median it is Bulk, far below Express. It goes back to Normal only when it
// has come halfway, so that a location at the limit does not change its lane with every request.
const (
	learnAfter = 32                     // requests, before which nothing is known
	farFactor  = 4                      // times the median: a report beside pages, not a page beside another
	backFactor = 2                      // halfway, as a factor
	leastBulk  = 100 * time.Millisecond // a request that holds its slot for less delays nobody
)

// Pace is how long the requests of a group hold a slot: an estimate of the median, by which its locations find their lanes.
// There is one per group, shared by its locations. The zero value knows nothing.
type Pace struct {
	median atomic.Int64 // ns; 0: nothing is known
}

// add moves the estimate a thirty-second towards d: each request counts the same, however long it took, so that as many are above
// the estimate as below, give or take some percent (frugal streaming). An update that meets another one may be lost.
func (p *Pace) add(d time.Duration) (median time.Duration) {
	old := p.median.Load()
	next := old
	switch {
	case old == 0:
		next = int64(d)
	case int64(d) > old:
		next += old/32 + 1
	case int64(d) < old:
		next -= old / 32
	}
	p.median.CompareAndSwap(old, max(next, 1))
	return time.Duration(next)
}

// learned is what a location knows of itself.
type learned struct {
	requests atomic.Int64
	mean     atomic.Int64 // ns; of the last sixteen or so
	lane     atomic.Uint32
}

// lane returns the lane of the location's requests.
func (h *Handler) lane() upstream.Lane {
	if h.opts.LearnLane {
		return upstream.Lane(h.learned.lane.Load())
	}
	return h.opts.Lane
}

// learn takes the time into account that a request has held its slot. It returns whether the lane is another one from now on.
func (h *Handler) learn(d time.Duration) (lane upstream.Lane, changed bool) {
	l, median := &h.learned, h.opts.Pace.add(d)
	if !h.opts.LearnLane {
		return h.opts.Lane, false
	}
	old := l.mean.Load()
	mean := old + (int64(d)-old)/16
	n := l.requests.Add(1)
	if n == 1 {
		mean = int64(d)
	}
	l.mean.CompareAndSwap(old, mean)
	before := upstream.Lane(l.lane.Load())
	if n < learnAfter {
		return before, false
	}
	lane = laneOf(before, time.Duration(mean), median)
	return lane, lane != before && l.lane.CompareAndSwap(uint32(before), uint32(lane))
}

// laneOf says which lane a mean time belongs to, for a location that is in a lane already.
func laneOf(now upstream.Lane, mean, median time.Duration) upstream.Lane {
	slow, quick := median*farFactor, median/farFactor
	switch now {
	case upstream.Bulk:
		slow = median * backFactor
	case upstream.Express:
		quick = median / backFactor
	case upstream.Normal:
	}
	switch {
	case mean > slow && mean >= leastBulk:
		return upstream.Bulk
	case mean < quick:
		return upstream.Express
	default:
		return upstream.Normal
	}
}

// noteServed learns from a response that was received whole; the slot is about to be given back, after so long.
func (r *run) noteServed(held time.Duration) {
	if r.h.opts.Pace == nil {
		return
	}
	if lane, changed := r.h.learn(held); changed {
		r.logLane(lane)
	}
}

// choose asks the picker; the slot of a bulk request is one of those that bulk requests may have.
func (r *run) choose(from []*upstream.Peer) *upstream.Peer {
	opts, bulk := &r.h.opts, r.waiter.Lane == upstream.Bulk
	if bulk && !opts.Group.TakeBulk(r.hint.Now) {
		return nil
	}
	p := opts.Picker.Pick(from, &r.hint)
	if p == nil && bulk {
		opts.Group.FreeBulk()
	}
	return p
}

// putBack ends what choose began.
func (r *run) putBack(p *upstream.Peer) {
	if r.waiter.Lane == upstream.Bulk {
		r.h.opts.Group.FreeBulk()
	}
	p.Free()
}
