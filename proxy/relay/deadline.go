package relay

import (
	"errors"
	"net/http"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// A location may have a deadline for the head of its responses, which bounds all that read_timeout and next_upstream_timeout do
// not: the wait for a slot, one attempt after the other, and a peer that sends its head byte by byte. Nothing is begun after
// it, and what waits for a peer is cut to what is left. The body of the response has the time that it takes.

var errLate = errors.New("no answer within the deadline")

// setDeadline begins the time of the request, whose body is there, unless it is passed on as it comes.
func (r *run) setDeadline() {
	if limit := r.h.opts.Deadline; limit > 0 {
		r.until = time.Now().Add(limit)
	}
}

// late says whether the deadline is over.
func (r *run) late() bool { return !r.until.IsZero() && !time.Now().Before(r.until) }

// tooLate ends an exchange between two attempts; it gives back a slot that is held.
func (r *run) tooLate() error {
	if r.holds {
		r.free()
	}
	r.peer = nil // the line is about the group
	r.incident()
	r.logTooLate(upstream.Connecting)
	r.noAttempt(http.StatusGatewayTimeout, errLate)
	return &proxy.StatusError{Code: http.StatusGatewayTimeout, Cause: proxy.CauseDeadline, Err: errLate}
}

// lateAttempt ends an exchange whose attempt was cut by the deadline. That is the peer's failure if it had at least half of the
// time: a process that hangs is found out, and one that got the rest of a long wait is not blamed.
func (r *run) lateAttempt(failure *upstream.Error) error {
	r.failed(failure)
	r.lastAttempt().Status = http.StatusGatewayTimeout
	r.logTooLate(failure.Phase)
	outcome := upstream.Abandoned
	if 2*time.Since(r.hint.Now) >= r.h.opts.Deadline {
		outcome = upstream.Broken
	}
	r.report(outcome, failure.Phase)
	return &proxy.StatusError{Code: http.StatusGatewayTimeout, Cause: proxy.CauseDeadline, Err: failure}
}
