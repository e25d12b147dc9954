package supervisor

import (
	"context"
	"errors"
	"time"
)

// How a run ends:
//
//  1. leave asks the caller, in a helper, to let its requests end; end, for one that is dead or stuck, skips that.
//  2. stopRun asks the program to end and has a helper wait for it and its tree; what is left after the stop timeout is killed.
//  3. buried tells how it ended.
//  4. gone decides what becomes of its place and its process.

// leave ends a run politely: first its requests, then the program. A run that is being ended already is left to it.
func (b *Backend) leave(r *run, reason Reason) {
	if r.reason != "" {
		return
	}
	drain := b.opts.Drain
	wasReady := !r.readySince.IsZero()
	r.condemn(reason)
	if drain == nil || !wasReady {
		b.stopRun(r)
		return
	}
	notice(r.log, "process draining", "reason", reason)
	b.become(r.place, Event{State: Draining, PID: r.pid(), Reason: reason})
	ctx, cancel := context.WithTimeout(r.hurry, r.opts.DrainTimeout)
	r.stopDrain = cancel
	b.helpers.Go(func() { // ends with ctx at the latest
		defer cancel()
		drain(ctx, r.place.port)
		b.do(func() { b.stopRun(r) })
	})
}

// end ends a run at once.
func (b *Backend) end(r *run, reason Reason) {
	if r.reason == "" {
		r.condemn(reason)
		r.kill()
		b.stopRun(r)
	}
}

// condemn marks the run as one that is being ended.
func (r *run) condemn(reason Reason) {
	r.reason = reason
	r.stopProbe()
	stopTimer(r.age)
}

// stopRun asks the program to end, unless it is to be killed.
func (b *Backend) stopRun(r *run) {
	grace, cancel := context.WithTimeout(r.hurry, r.opts.StopTimeout)
	b.become(r.place, Event{State: Stopping, PID: r.pid(), Reason: r.reason}) // before the wait for its tree: no more requests
	if r.hurry.Err() == nil {
		notice(r.log, "process stopping", "reason", r.reason)
		if err := r.tree.interrupt(r.opts.StopSignal); err != nil {
			r.log.Debug("process not asked to stop", "err", err)
			cancel()
		}
	}
	b.helpers.Go(func() { // ends killWait after grace at the latest
		defer cancel()
		exit, err := r.end(grace)
		if errors.Is(grace.Err(), context.DeadlineExceeded) {
			r.log.Warn("process killed", "took", r.opts.StopTimeout, "err", "not stopped in time")
		}
		b.do(func() { b.buried(r, exit, err) })
	})
}

// buried hears that nothing of the run is left, or what is.
func (b *Backend) buried(r *run, exit Exit, err error) {
	r.exit = exit
	attrs := []any{"code", exit.Code, "took", exit.Uptime.Round(time.Millisecond), "reason", r.reason}
	if exit.Peak > 0 {
		attrs = append(attrs, "memory", exit.Peak)
	}
	if r.reason == ReasonExited || r.reason == ReasonNotReady || r.again {
		r.log.Warn("process exited", append(attrs, "output", lastWords(exit), "err", r.epitaph())...)
	} else {
		notice(r.log, "process exited", append(attrs, "err", exit.Text)...)
	}
	if err != nil {
		r.log.Error("process left behind", "err", err)
		b.leftBehind(r.process.number, r.pid(), err)
	}
	close(r.abandoned)
	r.kill() // nothing waits for it any more
	b.become(r.place, Event{State: Exited, PID: r.pid(), Reason: r.reason, Exit: exit})
	r.place.run = nil
	b.gone(r)
	b.fill() // a place may have become free
}

// epitaph says how the program ended, and what to do when nobody can know why.
func (r *run) epitaph() string {
	switch {
	case r.reason != ReasonExited || !r.readySince.IsZero():
		return r.exit.Text
	case len(r.exit.Output) > 0:
		return r.exit.Text + " before it was ready"
	default:
		return r.exit.Text + " before it was ready, without a word; run its command by hand in its directory to see why"
	}
}

// gone decides what follows the end of a run.
func (b *Backend) gone(r *run) {
	p, pl, rep := r.process, r.place, b.replacementOf(r.process)
	switch {
	case b.stopping:
		b.become(pl, Event{State: Stopped})
	case p.place != pl: // it was replaced, or was a replacement that is no good
		b.free(pl)
		if rep != nil && rep.to == pl {
			b.finish(rep, r.failure())
		} else if rep != nil {
			b.finish(rep, nil)
		}
	case p.leaving:
		if rep != nil {
			b.finish(rep, nil)
		}
		b.forget(p)
		b.free(pl)
	case rep == nil && r.again:
		b.relaunch(p)
	case rep == nil:
		b.restartLater(p, r, nil)
	case rep.to == nil: // there was no spare: its successor comes now
		b.relaunch(p)
	case rep.to == pl: // its successor is gone as well
		b.finish(rep, r.failure())
		b.restartLater(p, r, nil)
	case rep.to.run.reason == "": // it did not last until its successor was ready
		b.move(p, rep.to)
	default: // neither of them is any good; the other one's end finishes the replacement
		b.restartLater(p, r, nil)
	}
}

// readyFor returns how long the run was ready.
func (r *run) readyFor() time.Duration {
	if r.readySince.IsZero() {
		return 0
	}
	return r.exit.At.Sub(r.readySince)
}
