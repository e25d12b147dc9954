package relay

import (
	"time"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/upstream"
)

// run is one exchange on its way through the relay. It is recycled; end gives back all that it holds.
type run struct {
	h  *Handler
	ex *proxy.Exchange

	req     upstream.Request
	body    *buffering.Body // the held request body; nil without one
	stream  bodyStream      // the request body that is passed on as it arrives
	fields  []upstream.Field
	scratch []byte // the end of the memory of the values of fields
	early   []byte // a 103 for the client

	hint    balancer.Hint // Now is when the present attempt began
	took    time.Duration // from then to what was received last with the head; the clock is not read again for what follows at once
	key     []byte        // of hint
	binding []byte        // the cookie that binds the client to its peer
	flight  upstream.Flight
	visits  []visit // the peers that were tried; hint.Tried are those of them that are still in the group
	waiter  upstream.Waiter
	tries   int                // attempts made
	until   time.Time          // when the head of the response has to be there; zero: no such moment
	last    *proxy.StatusError // what the last attempt would have led to for the client
	started time.Time          // of the first attempt
	sent    bool               // the request has reached a process: another attempt sends it again
	touched bool               // the request was sent to the process of the present attempt
	deaths  int                // processes that seemed to end with the request
	hangs   int                // processes that let the request wait for too long
	trail   *trail             // what it is suspected of; nil: nothing
	resent  bool               // the request is on its way once more to the next process of a peer
	final   *proxy.StatusError // what the client gets if no process comes for that
	peer    *upstream.Peer     // of the present attempt or the last
	holds   bool               // a slot of peer
	conn    *upstream.Conn
	reused  bool // the connection had been idle before
	busy    busy
	stuck   bool  // the attempt took longer than busy_timeout
	sendErr error // the request could not be sent whole; the answer may have come even so
	resp    upstream.Response
	accel   accel             // what the peer says about its response
	buffer  *buffering.Buffer // nginx's buffer_size
	pipe    *buffering.Pipe   // nil: the response is complete in buffer, or unbuffered

	unbuffer bool   // the response is read at the client's speed
	text     []byte // memory of what fields are compared with
	value    []byte // memory of a field's value

	pumped  chan struct{} // capacity 1: the pump has ended
	bodyErr error         // why the response was cut

	// Methods that are handed out as callbacks, bound once per run so that an exchange does not allocate them.
	onGone       func()
	onWait       func()
	onLeave      func()
	onSpill      func(path string)
	onSpillError func(err error)
	onBodySpill  func(path string)
	onStderr     func(text []byte)
	onEarly      func(fields []upstream.Field)
	onTrailer    func(name, value []byte)
	onField      func(name, value []byte)
}

// begin returns a run for ex.
func (h *Handler) begin(ex *proxy.Exchange) *run {
	r, _ := h.runs.Get().(*run)
	if r == nil {
		r = &run{h: h, pumped: make(chan struct{}, 1)}
		r.onGone, r.onSpill, r.onSpillError = r.cancelAttempt, r.logSpill, r.logSpillError
		r.onWait = r.startPump
		r.onLeave, r.waiter.Pick, r.waiter.Tried = r.waiter.Leave, r.pickFrom, r.triedProcess
		r.onBodySpill, r.onStderr, r.onField = r.logBodySpill, r.logStderr, r.field
		r.onEarly, r.onTrailer = r.passEarly, r.passTrailer
	}
	r.ex = ex
	ex.Upstream = h.opts.Group.Name()
	return r
}

// drop gives back what r holds after a panic of the goroutine that runs Serve. r itself is not used again: nobody knows its
// state.
func (r *run) drop() {
	r.ex.Content = nil
	r.waiter.Leave()
	if r.conn != nil {
		r.releaseConn(upstream.Spent)
	}
	if r.holds {
		r.free()
	}
	r.giveBack()
}

// giveBack gives the memory back.
func (r *run) giveBack() {
	if r.pipe != nil {
		r.pipe.Free()
	}
	if r.buffer != nil {
		r.h.opts.Arena.Put(r.buffer)
	}
	if r.body != nil {
		r.body.Free()
	}
}

// end gives back all that r holds, and r itself. No other goroutine works for r any more, and the connection has been
// released.
func (r *run) end() {
	h := r.h
	r.giveBack()
	r.ex, r.pipe, r.buffer, r.body, r.peer, r.sendErr, r.bodyErr = nil, nil, nil, nil, nil, nil, nil
	r.req = upstream.Request{}
	r.resp.Reset()
	r.resp.Header, r.resp.Buf, r.resp.Upgrade = nil, nil, nil
	r.stream = bodyStream{}
	r.hint.Reset()
	r.visits = r.visits[:0]
	r.waiter.Reset()
	r.started, r.tries, r.sent, r.resent, r.final = time.Time{}, 0, false, false, nil
	r.until, r.last = time.Time{}, nil
	r.touched, r.deaths, r.hangs, r.trail = false, 0, 0, nil
	h.runs.Put(r)
}
