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

// tries returns how many attempts an exchange has.
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
func (r *run) judge(failure *upstream.Error, now time.Time) (again bool, err error) {
	if failure != nil {
		return r.judgeFailure(failure, now)
	}
	met := ofStatus(r.ex.Status()) & r.h.opts.Retry.On
	if met == 0 || !r.mayTryNext() || !r.repeatable(upstream.ReadingHead) {
		r.peer.Report(upstream.Succeeded, now)
		return false, nil
	}
	if met&(OnHTTP403|OnHTTP404) == 0 {
		r.reportBroken(now, upstream.ReadingHead)
	}
	r.lastAttempt().Response = time.Since(now)
	r.release(upstream.Spent)
	return true, nil
}

func (r *run) judgeFailure(failure *upstream.Error, now time.Time) (again bool, err error) {
	if failure.Kind == upstream.Canceled || r.stream.err != nil {
		r.peer.Report(upstream.Abandoned, now)
		return false, r.abandon(failure)
	}
	met, final := ofFailure(failure.Kind)
	final.Err = failure
	r.lastAttempt().Status = final.Code
	r.logFailed(failure)
	r.reportBroken(now, failure.Phase)
	if r.h.opts.Retry.On&met != 0 && r.mayTryNext() && r.repeatable(failure.Phase) {
		return true, nil
	}
	return false, final
}

// abandon says how an exchange ends in whose failure the peer has no part. As in nginx, the attempt has no status.
func (r *run) abandon(failure *upstream.Error) error {
	switch {
	case failure.Status != 0:
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

// reportBroken counts a failure of the peer.
func (r *run) reportBroken(now time.Time, phase upstream.Phase) {
	if r.peer.Report(upstream.Broken, now) {
		r.logDisabled(phase)
	}
}

// mayTryNext says whether the limits of retries leave room for another attempt.
func (r *run) mayTryNext() bool {
	limit := r.h.opts.Retry.Timeout
	return r.tries > 0 && (limit == 0 || time.Since(r.started) < limit)
}

// repeatable says whether the request may be sent once more after an attempt that came as far as phase: a body that was
// passed on as it came is gone, and a request that is not idempotent (RFC 9110, section 9.2.2) may have had its effect as
// soon as a byte of it was sent.
func (r *run) repeatable(phase upstream.Phase) bool {
	if r.stream.started {
		return false
	}
	if phase == upstream.Connecting || r.h.opts.Retry.On&NonIdempotent != 0 {
		return true
	}
	switch string(r.req.Method) {
	case http.MethodPost, http.MethodPatch, "LOCK":
		return false
	default:
		return true
	}
}
