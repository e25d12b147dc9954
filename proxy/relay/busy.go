package relay

import (
	"sync"
	"time"

	"spillway/upstream"
)

// busy ends an attempt that takes longer than busy_timeout. There is one per run, with one timer that is hardly ever set: it
// goes on from one attempt to the next, and when it fires it finds out when the present one has to end. The time that is spent
// waiting for the client is the client's: it would be easy for one to have all processes stopped otherwise.
type busy struct {
	mu      sync.Mutex     // guards all below; held while the connection is canceled, so that end returns only afterwards
	timer   *time.Timer    // nil before the first attempt
	pending bool           // the timer will fire
	conn    *upstream.Conn // of the present attempt; nil: there is none, or it waits for the client
	until   time.Time      // when the present attempt has to end
	left    time.Duration  // while it waits for the client: what it has when it goes on
	stuck   bool           // it was ended
}

// begin watches an attempt that has so much time.
func (b *busy) begin(conn *upstream.Conn, left time.Duration) {
	b.mu.Lock()
	b.left = left
	b.mu.Unlock()
	b.resume(conn)
}

// resume watches conn from now on, which has as much time as was left at pause.
func (b *busy) resume(conn *upstream.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.until = conn, time.Now().Add(b.left)
	if b.pending {
		return
	}
	b.pending = true
	if b.timer == nil {
		b.timer = time.AfterFunc(b.left, b.fire)
	} else {
		b.timer.Reset(b.left)
	}
}

func (b *busy) pause() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.conn, b.left = nil, time.Until(b.until)
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
	r.stuck = false
	if limit := r.h.opts.BusyTimeout; limit > 0 {
		r.busy.begin(r.conn, limit-time.Since(r.hint.Now))
	}
}

// pauseBusy and resumeBusy enclose a wait for the client.
func (r *run) pauseBusy() {
	if r.h.opts.BusyTimeout > 0 && r.conn != nil {
		r.busy.pause()
	}
}

func (r *run) resumeBusy() {
	if r.h.opts.BusyTimeout > 0 && r.conn != nil {
		r.busy.resume(r.conn)
	}
}

// endBusy ends that, before the connection is released. A process that was stuck is made known, while its slot is held
// still, so that it is the one that is stopped.
func (r *run) endBusy() {
	if r.h.opts.BusyTimeout == 0 || !r.busy.end() {
		return
	}
	r.stuck = true
	r.incident()
	r.logStuck()
	if r.h.opts.OnStuck != nil {
		r.h.opts.OnStuck(r.peer, time.Since(r.hint.Now))
	}
}
