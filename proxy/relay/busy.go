package relay

import (
	"sync"
	"time"

	"spillway/upstream"
)

// busy ends an attempt that takes longer than busy_timeout. There is one per run, with one timer that is hardly ever set: it
// goes on from one attempt to the next, and when it fires it finds out when the present one has to end.
type busy struct {
	limit time.Duration // set before the first use

	mu      sync.Mutex     // guards all below; held while the connection is canceled, so that end returns only afterwards
	timer   *time.Timer    // nil before the first attempt
	pending bool           // the timer will fire
	conn    *upstream.Conn // of the present attempt; nil: there is none
	until   time.Time      // when the present attempt has to end
	stuck   bool           // it was ended
}

// begin watches the attempt on conn, which began at start.
func (b *busy) begin(conn *upstream.Conn, start time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.until, b.stuck = conn, start.Add(b.limit), false
	if b.pending {
		return
	}
	b.pending = true
	if b.timer == nil {
		b.timer = time.AfterFunc(b.limit, b.fire)
	} else {
		b.timer.Reset(b.limit)
	}
}

// end says whether the attempt that was watched had to be ended.
func (b *busy) end() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	stuck := b.stuck
	b.conn, b.stuck = nil, false
	return stuck
}

func (b *busy) fire() {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := time.Until(b.until)
	switch {
	case b.conn == nil:
		b.pending = false
	case left > 0:
		b.timer.Reset(left)
	default:
		b.pending, b.stuck = false, true
		b.conn.Cancel()
	}
}

// beginBusy watches the present attempt, if the location has a busy_timeout.
func (r *run) beginBusy() {
	if limit := r.h.opts.BusyTimeout; limit > 0 {
		r.busy.limit = limit
		r.busy.begin(r.conn, r.hint.Now)
	}
}

// endBusy ends that, before the connection is released. A process that was stuck is made known, while its slot is held
// still, so that it is the one that is stopped.
func (r *run) endBusy() {
	if r.h.opts.BusyTimeout == 0 || !r.busy.end() {
		return
	}
	r.stuck = true
	r.logStuck()
	if r.h.opts.OnStuck != nil {
		r.h.opts.OnStuck(r.peer, time.Since(r.hint.Now))
	}
}
