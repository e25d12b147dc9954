package supervisor

import (
	"slices"
	"time"
)

// steadyTime is how long a process must have been ready for its exit with code 0 to count as what the program does by itself
// after a number of requests.
const steadyTime = time.Second

// failures are the times at which a process has failed, the last RapidFail.Times of them at most.
type failures []time.Time

// add says whether this failure is one too many.
func (f *failures) add(limit RapidFail, now time.Time) bool {
	if limit.Times == 0 {
		return false
	}
	*f = append(*f, now)
	*f = slices.DeleteFunc(*f, func(at time.Time) bool { return now.Sub(at) > limit.Within })
	return len(*f) >= limit.Times
}

// failed counts a run that has ended, or err, a launch that was not possible, and says whether it was one too many.
func (p *process) failed(r *run, err error) bool {
	switch {
	case isTaken(err): // it is the port's fault
		return false
	case r != nil && r.reason != ReasonExited && r.reason != ReasonNotReady: // we have ended it
		return false
	case r != nil && r.endedWell():
		return false
	}
	return p.failures.add(p.opts.RapidFail, time.Now())
}

// endedWell says whether the program has ended as one does that wants to be replaced.
func (r *run) endedWell() bool {
	return r.reason == ReasonExited && r.exit.Code == 0 && r.readyFor() >= steadyTime
}

// forgive lets a process begin anew: somebody has asked for it.
func (p *process) forgive() {
	p.failures = nil
	p.backoff.wait = 0
	stopTimer(p.timer)
}

// giveUp leaves a process alone that fails again and again. Restart, Recycle and Update bring it back.
func (b *Backend) giveUp(p *process, r *run, err error) {
	limit := p.opts.RapidFail
	e := Event{State: Failed, Err: err}
	attrs := []any{"port", p.place.port, "failures", limit.Times, "window", limit.Within}
	if r != nil {
		e.Reason = r.reason
		attrs = append(attrs, "reason", r.reason, "output", lastWords(r.exit), "err", r.exit.Text)
	} else {
		attrs = append(attrs, "err", err)
	}
	p.failures = nil
	p.log.Error("process given up", attrs...)
	b.become(p.place, e)
}
