package relay

import (
	"errors"
	"io"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// One exchange is tried on one peer after the other until a response head is there, or until the retry policy ends it:
//
//  1. try picks a peer, or waits for one (wait.go), and notes it as tried;
//  2. exchangeHeads leases a connection, sends the request and receives the head with the first bytes of the body;
//  3. judge says what the outcome means: deliver it, try again, or give up.

// noTime stands for a point that an attempt did not reach.
const noTime = time.Duration(-1)

// attempts returns nil when r.resp has a response for the client.
func (r *run) attempts() error {
	r.describe()
	r.waiter.Lane = r.h.lane()
	r.setDeadline()
	if err := r.checkPoison(); err != nil {
		return err
	}
	for {
		again, err := r.try()
		if !again {
			return err
		}
		r.awaitVerdict()
		r.ex.ResetResponse()
	}
}

// try makes one attempt. again says that the next one is to be made.
func (r *run) try() (again bool, err error) {
	if err := r.take(); err != nil {
		return false, err
	}
	if err := r.checkPoison(); err != nil {
		return false, err
	}
	if r.late() {
		return false, r.tooLate()
	}
	r.touched = false
	visited := visit{peer: r.peer, run: r.peer.Runs()}
	now := r.hint.Now
	if r.started.IsZero() {
		r.started = now
		r.h.opts.Group.CountRequest(now)
	}
	failure := r.exchangeHeads(visited, now, false)
	if failure != nil {
		r.ex.Task.Leave() // what has failed may have to wait
	}
	if notServing(failure) {
		r.dropAttempt()
		r.free()
		return true, nil
	}
	if failure != nil && r.diedIdle(failure) {
		r.dropAttempt()
		idle := failure
		failure = r.exchangeHeads(visited, now, true)
		if notServing(failure) { // the process has ended with its connection, and maybe by the request
			failure = idle
		}
	}
	r.visits = append(r.visits, visited)
	r.tries++
	again, err = r.judge(failure, now)
	if failure != nil {
		r.free() // after the failure was counted, so that nobody is sent to a peer that is out of use
	}
	return again, err
}

// exchangeHeads sends the request to r.peer and receives the head of the response. On failure the connection is released,
// but not the slot. fresh asks for a new connection.
func (r *run) exchangeHeads(visited visit, now time.Time, fresh bool) *upstream.Error {
	opts, ex := &r.h.opts, r.ex
	ex.Attempts = append(ex.Attempts, proxy.Attempt{
		Upstream: opts.Group.Name(), Peer: r.peer.Address(), Index: r.peer.Index(), Hop: ex.Hops(), Run: visited.run, Began: now,
		Connect: noTime, Head: noTime, Response: noTime,
	})
	record := r.lastAttempt()
	timeouts := opts.Timeouts
	timeouts.Until, timeouts.Task, timeouts.Once = r.until, ex.Task, !r.repeatable(upstream.Sending)
	conn, err := r.peer.Lease(timeouts, fresh)
	if err != nil {
		r.reused = false
		record.Response = time.Since(now)
		return asUpstream(err)
	}
	r.conn, r.reused = conn, conn.Reused()
	upstream.Uses(conn, r)
	record.Connect = 0 // of one that was there
	if !r.reused {
		record.Connect = time.Since(now)
	}
	r.beginBusy()
	if !opts.Finish {
		ex.OnGone(r.onGone)
	}
	r.touched, r.sendErr = true, r.send()
	if r.sendErr == nil || mayHaveAnswered(r.sendErr) {
		err = r.receive()
		if err == nil {
			r.took = time.Since(now)
			record.Head = r.took
			r.flight.Head()
			err = r.receiveFirst()
		}
		if err != nil && r.sendErr != nil {
			err = r.sendErr
		}
	} else {
		err = r.sendErr
	}
	record.Received = conn.Received()
	if err != nil {
		record.Response = time.Since(now)
		failure := asUpstream(err)
		r.releaseConn(fateOf(failure))
		return failure
	}
	record.Status = ex.Status()
	conn.Unbind()
	return nil
}

func (r *run) send() error {
	r.rewind()
	r.conn.Phase = upstream.Sending
	return r.h.opts.Protocol.Send(r.conn, &r.req)
}

func (r *run) receive() error {
	r.conn.Phase = upstream.ReadingHead
	r.conn.AwaitRead()
	if r.buffer == nil {
		r.buffer = r.h.opts.Arena.Get(r.h.opts.Limits.BufferSize)
	}
	r.resp.Reset()
	r.accel.reset()
	r.resp.Header, r.resp.Buf, r.resp.Head, r.resp.Stderr = r.ex.Response, r.buffer.B, r.ex.Head(), r.onStderr
	r.resp.Field = r.onField
	r.resp.Upgrade, r.resp.Early, r.resp.Trailer = r.req.Upgrade, nil, nil
	if r.ex.Interim != nil && r.h.opts.EarlyHints {
		r.resp.Early = r.onEarly
	}
	if r.ex.Trailers {
		r.ex.Trailer, r.resp.Trailer = r.ex.Trailer[:0], r.onTrailer
	}
	r.resp.Header.DisableNormalizing()          // the peer's letter case
	r.resp.Header.SetNoDefaultContentType(true) // what an earlier attempt left was reset, and this with it
	err := r.h.opts.Protocol.Receive(r.conn, &r.resp)
	r.obey()
	return err
}

// receiveFirst waits for the first bytes of a body of which nothing came with the head. The head does not leave without
// them, so that a peer which fails until then has still answered nothing, and one that sends its head apart from a small
// body costs no pump. Without buffering the head is not held back.
func (r *run) receiveFirst() error {
	resp := &r.resp
	if resp.Complete || resp.Switched || len(resp.Prefix) > 0 || r.unbuffer {
		return nil
	}
	r.conn.Phase = upstream.ReadingBody
	n, err := resp.Body.Read(r.buffer.B)
	r.took = time.Since(r.hint.Now)
	resp.Prefix = r.buffer.B[:n]
	if errors.Is(err, io.EOF) {
		resp.Complete, resp.Body = true, nil
		return nil
	}
	return err
}

// release gives the connection and the peer's slot back.
func (r *run) release(fate upstream.Fate) {
	r.releaseConn(fate)
	r.free()
}

// releaseConn gives the connection back, when the attempt has ended by its record; from then on the client's leaving cancels nothing.
func (r *run) releaseConn(fate upstream.Fate) {
	r.ex.OnGone(nil)
	r.endBusy()
	r.conn.ReleaseAt(r.hint.Now.Add(r.lastAttempt().Response), fate)
	r.conn = nil
}

// fateOf is the fate of the connection after a failure: one on which nothing was sent can still be used.
func fateOf(failure *upstream.Error) upstream.Fate {
	if failure.Status != 0 {
		return upstream.Reusable
	}
	return upstream.Spent
}

// cancelAttempt ends all waiting for the peer, because the client has left.
func (r *run) cancelAttempt() { r.conn.Cancel() }

// mayHaveAnswered says whether an error of sending leaves hope for a response: a peer may answer before it has read the
// whole body, and close.
func mayHaveAnswered(err error) bool {
	failure := asUpstream(err)
	return failure.Phase == upstream.Sending && failure.Kind == upstream.Failed
}

// diedIdle says whether an attempt failed only because the peer had closed an idle connection: then the same peer gets
// the request on a new one, if it may be sent twice.
func (r *run) diedIdle(failure *upstream.Error) bool {
	return r.reused && !r.stuck && failure.Kind == upstream.Failed && r.lastAttempt().Received == 0 &&
		r.repeatable(failure.Phase)
}

// notServing says whether the peer's process had ended before anything was sent to it.
func notServing(failure *upstream.Error) bool {
	return failure != nil && errors.Is(failure.Err, upstream.ErrNotServing)
}

// lastAttempt returns the record of the present attempt.
func (r *run) lastAttempt() *proxy.Attempt { return &r.ex.Attempts[len(r.ex.Attempts)-1] }

// dropAttempt removes the record of an attempt that was none.
func (r *run) dropAttempt() { r.ex.Attempts = r.ex.Attempts[:len(r.ex.Attempts)-1] }

// asUpstream returns err as the error of an attempt; every error of upstream and the protocols is one.
func asUpstream(err error) *upstream.Error {
	if failure, ok := errors.AsType[*upstream.Error](err); ok {
		return failure
	}
	return &upstream.Error{Phase: upstream.Sending, Kind: upstream.Failed, Text: err.Error()}
}
