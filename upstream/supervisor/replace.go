package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errNoPlace says that all ports are in use.
var errNoPlace = errors.New("no port is free")

// replacement is the way from one run of a process to the next that somebody has asked for. One goes on at a time, so that no
// more than one process is missing at any time; the others wait in Backend.queue.
//
//  1. With a spare the new run starts there, and the old one leaves when it is ready. If it does not get ready it is ended, and
//     the old one has not noticed.
//  2. Without a spare the old run leaves first, and the new one starts in its place.
//  3. A process of which nothing runs is started.
type replacement struct {
	process *process
	run     *run       // that is to be replaced; nil: what runs when it is its turn
	reason  Reason     // why
	opts    *Options   // of the new run; nil: as the process has them
	done    chan error // gets how it ended; nil: nobody waits
	to      *place     // of the new run; nil: it is not launched yet
}

// Recycle replaces the run at the port by a new one: beside it if there is a spare, and in its place if not. A process that was
// given up is started again. It does not block, and does nothing when the run is being replaced or ended already or waits for its
// turn.
func (b *Backend) Recycle(port int, reason Reason) {
	b.do(func() {
		if pl := b.at(port); pl != nil && pl.process != nil {
			b.recycle(pl, reason)
		}
	})
}

// recycle says whether the run is to be replaced by this call.
func (b *Backend) recycle(pl *place, reason Reason) bool {
	p := pl.process
	if b.stopping || p.leaving || p.place != pl {
		return false
	}
	if ends := pl.run == nil && pl.state.State != Failed || pl.run != nil && pl.run.reason != ""; ends {
		return false
	}
	queued := slices.ContainsFunc(b.queue, func(rep *replacement) bool { return rep.process == p })
	if rep := b.replacementOf(p); queued || rep != nil && rep.to != pl { // else it is as good as over, and this run is the next one's turn
		if pl.run != nil {
			pl.run.wanted = reason // who has counted requests says so once
		}
		return false
	}
	b.queue = append(b.queue, &replacement{process: p, run: pl.run, reason: reason})
	return true
}

// Kill ends the run at the port at once, with its tree, without waiting for its requests, and starts the process again. It is for
// one that is stuck. It does not block.
func (b *Backend) Kill(port int, reason Reason) {
	b.do(func() {
		pl := b.at(port)
		if pl == nil || pl.run == nil {
			return
		}
		if pl.run.reason != "" {
			pl.run.kill()
			return
		}
		pl.run.again = true
		b.end(pl.run, reason)
	})
}

// replace replaces what runs of p and waits until the old run is gone. An error says why there is no new run.
func (b *Backend) replace(ctx context.Context, p *process, reason Reason, opts *Options) error {
	rep := &replacement{process: p, reason: reason, opts: opts, done: make(chan error, 1)}
	b.do(func() {
		if b.stopping {
			rep.done <- ErrStopped
			return
		}
		b.queue = append(b.queue, rep)
	})
	select {
	case err := <-rep.done:
		return err
	case <-b.stop.Done():
		return ErrStopped
	case <-ctx.Done():
		b.do(func() { b.cancel(rep) })
		return ctx.Err()
	}
}

// cancel gives up a replacement for which nobody waits any more, if it has not come too far.
func (b *Backend) cancel(rep *replacement) {
	b.queue = slices.DeleteFunc(b.queue, func(other *replacement) bool { return other == rep })
	if b.replacing == rep {
		if rep.to != nil && rep.process.place != rep.to {
			b.end(rep.to.run, rep.reason)
		}
		return
	}
	if r := rep.process.place.run; r != nil && r.wanted != "" {
		b.recycle(r.place, r.wanted)
	}
}

// replacementOf returns the replacement of the process that goes on; nil: there is none.
func (b *Backend) replacementOf(p *process) *replacement {
	if b.replacing != nil && b.replacing.process == p {
		return b.replacing
	}
	return nil
}

// proceed begins the next replacement, if none goes on. One that needs a spare waits for those that are coming.
func (b *Backend) proceed() {
	for b.replacing == nil && len(b.queue) > 0 {
		rep := b.queue[0]
		runs := !rep.process.leaving && rep.process.place.run != nil
		if runs && len(b.spares()) == 0 && b.spareComing() {
			return
		}
		b.queue = slices.Delete(b.queue, 0, 1)
		b.replaceNow(rep)
	}
}

func (b *Backend) replaceNow(rep *replacement) {
	p := rep.process
	if p.leaving || rep.done == nil && rep.run != p.place.run {
		rep.answer(nil) // there is nobody left to replace
		return
	}
	if rep.opts == nil {
		rep.opts = p.opts
	}
	b.replacing = rep
	rep.run = p.place.run
	switch old := rep.run; {
	case old == nil:
		p.forgive()
		p.takeOptions(rep.opts)
		b.relaunch(p)
	case old.reason != "": // its successor is what was asked for
		p.takeOptions(rep.opts)
	case b.startBeside(rep):
	default:
		b.makeRoom(rep, old)
	}
}

// startBeside starts the new run at a spare; false: there is none.
func (b *Backend) startBeside(rep *replacement) bool {
	for _, pl := range b.spares() {
		r, err := b.launch(rep.process, pl, rep.opts)
		switch {
		case err == nil:
			rep.to = pl
			b.begin(r)
			return true
		case isTaken(err):
			rep.process.log.Warn("port taken", "port", pl.port, "err", err)
		default:
			b.finish(rep, err)
			return true
		}
	}
	return false
}

// makeRoom ends the old run so that the new one can have its place, if the new one has a program at all.
func (b *Backend) makeRoom(rep *replacement, old *run) {
	if _, err := rep.opts.command(rep.process.number, old.place.port); err != nil {
		b.finish(rep, err)
		return
	}
	rep.process.takeOptions(rep.opts)
	b.leave(old, rep.reason)
}

// readied goes on with a replacement whose new run is ready.
func (b *Backend) readied(r *run) {
	p, rep := r.process, b.replacementOf(r.process)
	if rep == nil || rep.to != r.place {
		return
	}
	old := p.place.run
	took := p.place == r.place // in its place, or it was left by the old one
	p.place = r.place
	p.takeOptions(rep.opts)
	p.forgive()
	if took {
		b.finish(rep, nil)
		return
	}
	b.leave(old, rep.reason) // gone finishes
}

// finish ends the replacement. One that somebody waits for has its error told by them; another is tried again, and so is one
// that was asked for meanwhile.
func (b *Backend) finish(rep *replacement, err error) {
	b.replacing = nil
	rep.answer(err)
	p, old := rep.process, rep.run
	if err == nil || p.leaving || old == nil || p.place.run != old {
		return
	}
	reason := rep.reason
	if rep.done != nil {
		reason = old.wanted
	}
	if reason == "" {
		return
	}
	delay := p.opts.BackoffMax
	p.log.Warn("process not replaced", "reason", reason, "delay", delay, "err", err)
	time.AfterFunc(delay, func() {
		b.do(func() {
			if p.place.run == old {
				b.recycle(p.place, reason)
			}
		})
	})
}

func (rep *replacement) answer(err error) {
	if rep.done != nil {
		rep.done <- err
	}
}

// failure is why a run was no good.
func (r *run) failure() error {
	if r.cause != nil {
		return r.cause
	}
	when := "before"
	if !r.readySince.IsZero() {
		when = "soon after"
	}
	err := fmt.Errorf("ended %s it was ready: %s", when, r.exit.Text)
	if n := len(r.exit.Output); n > 0 {
		err = fmt.Errorf("%w: %s", err, r.exit.Output[n-1])
	}
	return err
}
