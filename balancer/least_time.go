package balancer

import (
	"time"

	"spillway/upstream"
)

// LeastTimeOptions say which time counts: nginx's parameters of least_time.
type LeastTimeOptions struct {
	LastByte bool // that to the last byte of the response, not to its head
	Inflight bool // also of requests in flight; the group has to count their Flights
}

// LeastTime is nginx's least_time: the peer with the least estimated time of processing what it has and one request more, in
// proportion to its weight. The estimate is the average time of an answer, in steps of 20 ms, so that peers that are about
// as fast take turns, and at most 5 s, times the requests. A peer that is not chosen for fail_timeout becomes half as slow
// each time, so that it gets a chance again. One LeastTime serves one group. Pick holds a lock as LeastConn does.
type LeastTime struct {
	least

	opts LeastTimeOptions
	seen record[time.Time] // when it was chosen, if fail_timeout had passed since the time before
}

// NewLeastTime returns a picker that goes by the times that a peer takes.
func NewLeastTime(opts LeastTimeOptions) *LeastTime {
	l := &LeastTime{opts: opts}
	l.load, l.took = l.estimate, l.see
	return l
}

// The numbers of nginx.
const (
	timeStep = 20 * time.Millisecond
	mostTime = 5 * time.Second // slower peers are equally bad, and only their requests count
)

// estimate returns the time in ms that p needs for the requests that it has and one more.
func (l *LeastTime) estimate(p *upstream.Peer, now time.Time) int64 {
	took := p.HeadTime()
	if l.opts.LastByte {
		took = p.ResponseTime()
	}
	took >>= l.halvings(p, now)
	if l.opts.Inflight {
		took = max(took, p.FlightTime(now))
	}
	if took > mostTime {
		took = mostTime
	} else {
		took += timeStep - took%timeStep
	}
	return took.Milliseconds() * (1 + p.Inflight())
}

// halvings returns how often the time of p is halved.
func (l *LeastTime) halvings(p *upstream.Peer, now time.Time) uint {
	since := now.Sub(*l.seen.of(p))
	if since <= p.FailTimeout() {
		return 0
	}
	return uint(since / (p.FailTimeout() + time.Second))
}

// see notes that p was chosen.
func (l *LeastTime) see(p *upstream.Peer, now time.Time) {
	if at := l.seen.of(p); now.Sub(*at) > p.FailTimeout() {
		*at = now
	}
}
