package upstream

import (
	"sync/atomic"
	"time"
)

// Flights says until when an attempt counts as under way, for FlightTime.
type Flights uint8

// The ends of a flight. nginx's least_time asks for them with its parameter inflight.
const (
	NoFlights Flights = iota // nobody asks
	UntilHead                // until the head of the response is there
	UntilEnd                 // until its last byte is
)

// times are how fast a peer is. All of it is written by whoever ends an attempt, without a lock.
type times struct {
	head, response atomic.Int64 // moving averages in ns; 0: not measured since the process began to serve

	// The attempts under way in one word, so that both numbers always fit each other: their number above, the sum of their
	// beginnings, in ms since the account was made, below. With a thousand attempts under way the sum overflows after nine years.
	flights atomic.Uint64
}

const (
	flightUnit  = 1 << 48 // one attempt
	flightsMask = flightUnit - 1
)

// forget drops what was measured of a process.
func (t *times) forget() {
	t.head.Store(0)
	t.response.Store(0)
}

// average adds a measurement to a moving average, with nginx's weight of a twentieth.
func average(of *atomic.Int64, took time.Duration) {
	for {
		old := of.Load()
		next := max(int64(took), 1)
		if old != 0 {
			next = old + (next-old)/20
		}
		if of.CompareAndSwap(old, next) {
			return
		}
	}
}

// NoteHead adds to HeadTime how long the peer's run-th process took until the head of its response was there, and
// NoteResponse to ResponseTime how long until the last byte. As in nginx only attempts that succeeded are noted, or a peer
// that fails at once would look fast.
func (p *Peer) NoteHead(run uint64, took time.Duration) {
	if p.runs.Load() == run {
		average(&p.times.head, took)
	}
}

// NoteResponse is described at NoteHead.
func (p *Peer) NoteResponse(run uint64, took time.Duration) {
	if p.runs.Load() == run {
		average(&p.times.response, took)
	}
}

// HeadTime returns how long the peer takes on average from the beginning of an attempt to the head of the response; 0: not
// measured yet.
func (p *Peer) HeadTime() time.Duration { return time.Duration(p.times.head.Load()) }

// ResponseTime returns how long the peer takes on average to the last byte of the response; 0: not measured yet.
func (p *Peer) ResponseTime() time.Duration { return time.Duration(p.times.response.Load()) }

// Flight is an attempt under way at a peer, from Depart to Land. The zero value is none.
type Flight struct {
	peer *Peer
	mark uint64 // what it has added to times.flights
}

// Depart begins a flight, if the group counts them.
func (p *Peer) Depart(now time.Time) Flight {
	if p.group.flights == NoFlights {
		return Flight{}
	}
	mark := flightUnit + uint64(max(now.Sub(p.made).Milliseconds(), 0))
	p.times.flights.Add(mark)
	return Flight{p, mark}
}

// Head notes that the head of the response is there.
func (f *Flight) Head() {
	if f.peer != nil && f.peer.group.flights == UntilHead {
		f.Land()
	}
}

// Land ends the flight, if it has not ended.
func (f *Flight) Land() {
	if f.peer != nil {
		f.peer.times.flights.Add(-f.mark)
		*f = Flight{}
	}
}

// FlightTime returns how long the attempts under way have taken until now, on average; 0 when there are none.
func (p *Peer) FlightTime(now time.Time) time.Duration {
	word := p.times.flights.Load()
	n := int64(word / flightUnit)
	if n == 0 {
		return 0
	}
	began := int64(word&flightsMask) / n
	return max(now.Sub(p.made)-time.Duration(began)*time.Millisecond, 0)
}
