package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// State says what is known of a peer's process.
type State uint8

// The states of a peer. Peer.slots relies on Serving being 0.
const (
	Serving State = iota // gets requests; so does a peer that nobody supervises, always
	Coming               // its process starts, restarts or can be started: worth waiting for
	Away                 // nobody is expected
	Gone                 // removed from its group, for good; set by Group.Remove
)

// String returns the state as status pages show it.
func (s State) String() string {
	switch s {
	case Serving:
		return "serving"
	case Coming:
		return "coming"
	case Away:
		return "away"
	case Gone:
		return "gone"
	default:
		return "unknown"
	}
}

// A peer's state and the number of its slots in use are one atomic word: the state above, the number below. So a slot is
// taken only while the peer serves, and when a peer that does not serve has none in use, it stays so. Gone is a state of the peer
// in its group, not of its process, and never in that word.
const (
	stateUnit = 1 << 32 // one step of the state
	slotsMask = stateUnit - 1
)

// noLimit is the limit of a peer that has none: no word of a peer that does not serve is below it, and each other is.
const noLimit = stateUnit

// limitOf returns the smaller of two limits that are set.
func limitOf(maxConns, concurrency int) uint64 {
	limit := uint64(noLimit)
	for _, n := range []int{maxConns, concurrency} {
		if n > 0 {
			limit = min(limit, uint64(n))
		}
	}
	return limit
}

// Take takes one of the peer's slots, unless the peer does not serve or all are in use; it is the last step of choosing
// the peer. The holder gives it back with Free, and leases connections to the peer only in between.
func (p *Peer) Take(now time.Time) bool {
	if !p.occupy() {
		return false
	}
	p.taken(now)
	return true
}

// occupy takes a slot without a word to anybody.
func (p *Peer) occupy() bool {
	for {
		word := p.slots.Load()
		if word >= p.limit {
			return false
		}
		if !p.slots.CompareAndSwap(word, word+1) {
			continue
		}
		if p.gone.Load() { // asked afterwards: whoever sets it looks for slots in use then
			p.vacate()
			return false
		}
		return true
	}
}

// vacate gives a slot back without a word to those that wait.
func (p *Peer) vacate() {
	left := p.slots.Add(^uint64(0)) & slotsMask
	if left == slotsMask {
		p.slots.Add(1) // or the peer would have another state
		panic("upstream: slot freed twice")
	}
	if left == 0 && p.draining.Load() {
		p.emptied()
	}
}

// taken notes that the peer was chosen. After fail_timeout a disabled peer is let through once per fail_timeout: this is
// where the next such period begins, as it does for one that was chosen because all others are disabled, too.
func (p *Peer) taken(now time.Time) {
	if n, at := p.requests.Add(1), p.spentAt.Load(); at != 0 && n >= at {
		p.spent(at)
	}
	if p.fails.Load() == 0 {
		return
	}
	p.mu.Lock()
	if now.Sub(p.checked) > p.failTimeout || p.maxFails > 0 && p.fails.Load() >= int64(p.maxFails) {
		p.checked = now
	}
	p.mu.Unlock()
}

// spent says once per process that it has had its requests.
func (p *Peer) spent(at uint64) {
	if run := p.runs.Load(); p.spentAt.CompareAndSwap(at, 0) && p.spentRun.Swap(run) != run {
		go p.group.onSpent(p) // ends with the callback; whoever takes the slot holds locks and a request
	}
}

// Free gives a slot back; the request that waited longest for it gets it, one of a former group before those of its successor.
func (p *Peer) Free() {
	p.vacate()
	for _, sharer := range *p.sharers.Load() {
		if q := &sharer.group.queue; q.waiting.Load() > 0 {
			q.freed(sharer)
		}
	}
}

// Inflight returns the number of slots in use at this moment by whichever group, that of a probe included.
func (p *Peer) Inflight() int64 { return int64(p.slots.Load() & slotsMask) }

// Busy returns the number of requests at the peer: of the slots in use those that no probe has. A process that is only probed has
// nothing to do.
func (p *Peer) Busy() int64 { return max(p.Inflight()-p.probes.Load(), 0) }

// State returns what is known of the peer's process.
func (p *Peer) State() State {
	if p.gone.Load() {
		return Gone
	}
	return State(p.slots.Load() / stateUnit)
}

// Runs returns the number of the peer's present process: how often the peer has begun to serve or, with GroupOptions.Runs, one
// that no other process has.
func (p *Peer) Runs() uint64 { return p.runs.Load() }

// SetState notes what the supervisor knows of the peer's process. A peer that begins to serve starts without failures and
// is given to the requests that wait; one that ends loses its idle connections. The slots in use stay with their holders. It is
// said of the process: the peers that share it have the same state from then on. A peer that is Gone stays so, and Gone is nothing
// that a process can be.
func (p *Peer) SetState(state State) {
	if state == Gone || p.gone.Load() {
		return
	}
	for renewed := false; ; {
		word := p.slots.Load()
		old := State(word / stateUnit)
		if old == state {
			return
		}
		if state == Serving && !renewed { // before anybody can take a slot
			p.renew()
			p.startAllSlowly(time.Now())
			renewed = true
		}
		if !p.slots.CompareAndSwap(word, word&slotsMask|uint64(state)*stateUnit) {
			continue
		}
		if old == Serving {
			p.ended(time.Now())
		}
		for _, sharer := range *p.sharers.Load() {
			sharer.follow(old, state)
		}
		return
	}
}

// follow lets the peer's own group act on another state.
func (p *Peer) follow(old, state State) {
	if old == Serving {
		p.CloseIdle()
	}
	if q := &p.group.queue; q.waiting.Load() > 0 {
		q.changed(p, state)
	}
}

// ended notes the end of the present process.
func (p *Peer) ended(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endedRun, p.endedAt = p.runs.Load(), now
	p.forget()
}

// renew prepares the peer, and those that share its process, for the requests of another one.
func (p *Peer) renew() {
	p.mu.Lock() // what is reported of the process before counts until here
	defer p.mu.Unlock()
	p.forget()
	p.times.forget()
	if all := p.group.runs; all != nil {
		p.runs.Store(all.Add(1))
	} else {
		p.runs.Add(1)
	}
	p.before.Store(p.requests.Load())
	for _, sharer := range *p.sharers.Load() {
		sharer.allot()
	}
}

// forget drops what was known of the failures and the health of a process; the caller holds the lock.
func (p *Peer) forget() {
	p.fails.Store(0)
	p.diedAt.Store(0)
	for _, sharer := range *p.sharers.Load() {
		sharer.health.Store(uint32(Healthy))
		sharer.effective.Store(int64(sharer.weight))
	}
}

// allot says how many requests the present process gets, as the peer's group will have it.
func (p *Peer) allot() {
	if g := p.group; g.maxRequests > 0 {
		p.spentAt.Store(p.before.Load() + uint64(g.maxRequests+rand.IntN(g.maxRequestsJitter+1)))
	}
}

// Drained blocks until none of the peer's slots is in use. If SetState took the peer out of service before, nobody uses the
// peer from then on, until SetState(Serving). The error is that of ctx.
func (p *Peer) Drained(ctx context.Context) error {
	for {
		p.mu.Lock()
		if p.empty == nil {
			p.empty = make(chan struct{})
		}
		empty := p.empty
		p.draining.Store(true) // before the question, so that a Free after it closes the channel
		p.mu.Unlock()
		n := p.Inflight()
		if n == 0 {
			return nil
		}
		select {
		case <-empty:
		case <-ctx.Done():
			return fmt.Errorf("drain %s: %d requests in flight: %w", p.address, n, ctx.Err())
		}
	}
}

// emptied tells those who drain the peer that no slot is in use.
func (p *Peer) emptied() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.empty != nil {
		close(p.empty)
		p.empty = nil
	}
	p.draining.Store(false)
}
