package relay

import (
	"net/http"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// Condition is a set of nginx's next_upstream values.
type Condition uint16

// The conditions under which another peer is tried.
const (
	OnError Condition = 1 << iota
	OnTimeout
	OnInvalidHeader
	OnHTTP500
	OnHTTP502
	OnHTTP503
	OnHTTP504
	OnHTTP403
	OnHTTP404
	OnHTTP429
	NonIdempotent // also requests that are not idempotent are sent again
)

// RetryPolicy is nginx's next_upstream with its limits.
type RetryPolicy struct {
	On      Condition     // [next_upstream]; 0 is "off"
	Tries   int           // [next_upstream_tries]; 0 is as many as there are peers
	Timeout time.Duration // [next_upstream_timeout] since the first attempt began; 0 is no limit
}

// tries returns how many attempts an exchange has in a group of so many peers.
func (p *RetryPolicy) tries(peers int) int {
	if p.Tries > 0 && p.Tries < peers {
		return p.Tries
	}
	return peers
}

// ofStatus returns the condition that a peer's status meets, 0 for most.
func ofStatus(status int) Condition {
	switch status {
	case http.StatusInternalServerError:
		return OnHTTP500
	case http.StatusBadGateway:
		return OnHTTP502
	case http.StatusServiceUnavailable:
		return OnHTTP503
	case http.StatusGatewayTimeout:
		return OnHTTP504
	case http.StatusForbidden:
		return OnHTTP403
	case http.StatusNotFound:
		return OnHTTP404
	case http.StatusTooManyRequests:
		return OnHTTP429
	default:
		return 0
	}
}

// ofFailure returns the condition that a failed attempt meets, and what the client gets if it was the last.
func ofFailure(kind upstream.Kind) (Condition, *proxy.StatusError) {
	switch kind {
	case upstream.TimedOut:
		return OnTimeout, &proxy.StatusError{Code: http.StatusGatewayTimeout, Cause: proxy.CauseTimeout}
	case upstream.Invalid:
		return OnInvalidHeader, &proxy.StatusError{Code: http.StatusBadGateway, Cause: proxy.CauseInvalid}
	case upstream.Refused:
		return OnError, &proxy.StatusError{Code: http.StatusBadGateway, Cause: proxy.CauseRefused}
	case upstream.Failed, upstream.Canceled:
	}
	return OnError, &proxy.StatusError{Code: http.StatusBadGateway, Cause: proxy.CauseFailed}
}

// judge says what an attempt leads to: failure is nil when the head of a response is there. It reports the outcome to the
// peer by nginx's rules: a failed attempt always counts, a status only when the next peer is asked because of it, and 403
// and 404 never.
func (r *run) judge(failure *upstream.Error, began time.Time) (again bool, err error) {
	if failure != nil {
		return r.judgeFailure(failure)
	}
	if r.h.opts.Poison != nil {
		r.h.opts.Poison.absolve(r.ex)
	}
	if r.ex.Status() >= http.StatusInternalServerError {
		r.incident()
	}
	met := ofStatus(r.ex.Status()) & r.h.opts.Retry.On
	if met == 0 || !r.mayTryNext() || !r.repeatable(upstream.ReadingHead) || !r.affords(upstream.ReadingHead) {
		r.reportSuccess()
		return false, nil
	}
	if met&(OnHTTP403|OnHTTP404) == 0 {
		r.report(upstream.Broken, upstream.ReadingHead)
	}
	r.last = &proxy.StatusError{Code: r.ex.Status()}
	r.lastAttempt().Response = time.Since(began)
	r.release(upstream.Spent)
	return true, nil
}

func (r *run) judgeFailure(failure *upstream.Error) (again bool, err error) {
	if r.stuck {
		r.failed(failure)
		r.lastAttempt().Status = http.StatusGatewayTimeout
		r.report(upstream.Broken, failure.Phase)
		if r.h.opts.Poison != nil {
			r.h.opts.Poison.hung(r.ex, r.visits[len(r.visits)-1], r.hint.Now)
		}
		return false, &proxy.StatusError{Code: http.StatusGatewayTimeout, Cause: proxy.CauseStuck, Err: failure}
	}
	if failure.Kind == upstream.Canceled || r.stream.err != nil {
		return false, r.abandon(failure)
	}
	if failure.Kind == upstream.TimedOut && r.late() {
		return false, r.lateAttempt(failure)
	}
	met, final := ofFailure(failure.Kind)
	final.Err = failure
	r.last = final
	r.lastAttempt().Status = final.Code
	r.failed(failure)
	r.logFailed(failure)
	died, outcome := r.died(failure), upstream.Broken
	if died {
		outcome = upstream.Died
		r.noteDeath()
	}
	r.report(outcome, failure.Phase)
	hung := r.noteHung(failure)
	if r.h.opts.Retry.On&met == 0 || !r.repeatable(failure.Phase) {
		return false, final
	}
	again = r.mayTryNext()
	if again && hung {
		r.logHung(r.hangs + r.deaths)
		return false, &proxy.StatusError{Code: http.StatusGatewayTimeout, Cause: proxy.CausePoison, Err: failure}
	}
	if !again {
		r.final = final
		again = died && r.mayAwaitNext(failure.Phase) && !r.h.opts.Group.Hopeless(&r.waiter)
	}
	return again && r.affords(failure.Phase), final
}

// affords says whether the upstream's budget of retries has room for one more attempt, after one that came as far as phase, and
// takes it from there. A request that has reached no process yet costs nothing: however many peers refuse, one serves it in the
// end. nginx has no such budget.
func (r *run) affords(phase upstream.Phase) bool {
	r.sent = r.sent || phase > upstream.Handshaking
	if !r.sent {
		return true
	}
	group, now := r.h.opts.Group, time.Now()
	ok, tell := group.TakeRetry(now)
	if tell {
		r.logBudgetUsedUp(group.Retries(now).Recent, phase)
	}
	return ok
}

// died says whether a failure looks like the end of the peer's process: nobody listens, or not a byte of an answer came.
func (r *run) died(failure *upstream.Error) bool {
	return failure.Kind == upstream.Refused && failure.Phase == upstream.Connecting || failure.Kind == upstream.Failed && r.lastAttempt().Received == 0
}

// abandon says how an exchange ends in whose failure the peer has no part. As in nginx, the attempt has no status.
func (r *run) abandon(failure *upstream.Error) error {
	switch {
	case failure.Status != 0:
		if failure.Status >= http.StatusInternalServerError {
			r.incident()
		}
		r.logRefused(failure)
		r.dropAttempt()
		return &proxy.StatusError{Code: failure.Status, Err: failure}
	case r.stream.err != nil:
		return r.bodyFailed(r.stream.err, r.stream.err)
	case !r.ex.Gone(): // the held body could not be read back
		return r.bodyFailed(failure, nil)
	default:
		r.logClientGone(failure.Phase)
		return &proxy.StatusError{Code: proxy.StatusClientGone, Cause: proxy.CauseClientGone, Err: failure}
	}
}

// report tells the peer how the attempt ended: now, which may be a minute after it began.
func (r *run) report(outcome upstream.Outcome, phase upstream.Phase) {
	if r.peer.Report(r.visits[len(r.visits)-1].run, outcome, time.Now()) {
		r.logDisabled(phase)
	}
}

// reportSuccess tells the peer that the head of a response came, and when.
func (r *run) reportSuccess() {
	run, took := r.visits[len(r.visits)-1].run, r.lastAttempt().Head
	r.peer.Report(run, upstream.Succeeded, r.hint.Now.Add(took))
	r.peer.NoteHead(run, took)
}

// mayTryNext says whether the limits of retries leave room for another attempt. A port without a process counts as no peer: that
// nobody is there is not what the client is to be told after a real failure.
func (r *run) mayTryNext() bool {
	peers := r.left()
	for _, p := range r.h.opts.Group.Peers() {
		if p.State() != upstream.Away {
			peers++
		}
	}
	return r.tries < r.h.opts.Retry.tries(peers) && r.inTime()
}

func (r *run) inTime() bool {
	limit := r.h.opts.Retry.Timeout
	return (limit == 0 || time.Since(r.started) < limit) && !r.late()
}

// mayAwaitNext says whether a request that no peer is left for may wait for the next process of one: the end of a process
// is to cost no request. One that has reached a process, and may be what ended it, gets only one more chance, lest it end
// all others, one after the other; the guard against poison knows better.
func (r *run) mayAwaitNext(phase upstream.Phase) bool {
	if r.h.opts.Group.HoldTimeout() == 0 || r.h.opts.Retry.Tries > 0 || !r.inTime() {
		return false
	}
	if guard := r.h.opts.Poison; r.resent && (guard == nil || r.deaths > guard.opts.Kills) {
		return false
	}
	r.resent = phase > upstream.Handshaking
	return true
}

// repeatable says whether the request may be sent once more after an attempt that came as far as phase: a body that was
// passed on as it came is gone, and a request that is not idempotent (RFC 9110, section 9.2.2) may have had its effect as
// soon as a byte of it was sent.
func (r *run) repeatable(phase upstream.Phase) bool {
	if r.stream.started {
		return false
	}
	if phase <= upstream.Handshaking || r.h.opts.Retry.On&NonIdempotent != 0 {
		return true
	}
	switch string(r.req.Method) {
	case http.MethodPost, http.MethodPatch, "LOCK":
		return false
	default:
		return true
	}
}
