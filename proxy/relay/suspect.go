package relay

import (
	"fmt"
	"net/http"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// What an exchange has to do with the guard against requests that end processes; poison.go has the rules.

// poisonError is why a request is refused.
type poisonError struct{ verdict }

// Error says what it has done, and for how long it is refused.
func (e poisonError) Error() string {
	done := "ended"
	if e.hung {
		done = "ended or hung in"
	}
	return fmt.Sprintf("it has %s %d processes (poison_guard), for %s more", done, e.kills, seconds(e.left.Round(time.Second)))
}

// checkPoison refuses the request if it is known to end processes; it gives back a slot that it holds.
func (r *run) checkPoison() error {
	guard := r.h.opts.Poison
	if guard == nil || guard.known.Load() == 0 {
		return nil
	}
	v, held := guard.held(r.ex, time.Now())
	if !held {
		return nil
	}
	if r.holds {
		r.free()
	}
	r.peer = nil // the line is about the group
	r.incident()
	r.logPoison(v)
	code := http.StatusServiceUnavailable
	if v.hung {
		code = http.StatusGatewayTimeout
	}
	r.ex.Killed = v.runs
	err := poisonError{v}
	r.noAttempt(code, err)
	return &proxy.StatusError{Code: code, Cause: proxy.CausePoison, Err: err, RetryAfter: max(v.left, time.Second)}
}

// noteDeath suspects the request of having ended the process of the present attempt.
func (r *run) noteDeath() {
	if guard := r.h.opts.Poison; guard != nil && r.touched {
		r.deaths++
		if r.trail == nil {
			r.trail = &trail{}
		}
		guard.suspect(r.ex, r.trail, r.visits[len(r.visits)-1], r.hint.Now)
	}
}

// noteHung says whether the request has hung at as many processes as may be, this one included: it is not sent to another.
func (r *run) noteHung(failure *upstream.Error) bool {
	guard := r.h.opts.Poison
	if guard == nil || failure.Kind != upstream.TimedOut || !r.touched {
		return false
	}
	r.hangs++
	return r.hangs+r.deaths >= guard.opts.Kills
}

// awaitVerdict waits until it is known what became of the processes, before the request is sent to one more than it may end.
func (r *run) awaitVerdict() {
	guard := r.h.opts.Poison
	if guard == nil || r.trail == nil || r.deaths < guard.opts.Kills {
		return
	}
	left := make(chan struct{})
	if !r.h.opts.Finish {
		r.ex.OnGone(func() { close(left) })
	}
	for _, s := range *r.trail {
		select {
		case <-s.judged: // comes by a timer
		case <-left:
		}
	}
	r.ex.OnGone(nil)
}
