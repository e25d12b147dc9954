package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Update:
//
//  1. adopt adds the new ports, takes away the others, and lets go the processes above the new number.
//  2. Each process is replaced, as by Restart, if its command, folder, environment or port changes; else its limits change at once.
//  3. settle puts the options in force and starts processes that are missing.
//  4. After an error, revert goes the same way back.

// Update changes the options of a backend that runs, without a gap as Restart does it. Name, Guard, OnEvent, Drain, Busy and Log stay
// what New was given. Output is asked from each process's next launch on. Another Restart or Update that goes on is waited for.
//
// With an error the old options are in force: what was replaced goes back to them, which is a replacement as well. An error
// joined to it says what could not go back; such a process has the old options from its next launch on. When ctx ends with the
// cause ErrStopped, the backend is about to be stopped, and nothing goes back.
func (b *Backend) Update(ctx context.Context, o Options) error {
	release, err := b.takeTurn(ctx)
	if err != nil {
		return fmt.Errorf("backend %s: update: %w", b.name, err)
	}
	defer release()
	old := b.opts // nobody else changes it: we have the turn
	o.Name, o.Guard, o.OnEvent, o.Drain, o.Busy, o.Log = old.Name, old.Guard, old.OnEvent, old.Drain, old.Busy, old.Log
	if err := o.finish(); err != nil {
		return err
	}
	since := time.Now()
	if err := b.change(ctx, &o); err != nil {
		err = fmt.Errorf("backend %s: update: %w; the options are as they were", b.name, err)
		if errors.Is(err, ErrStopped) || errors.Is(context.Cause(ctx), ErrStopped) {
			return err
		}
		// Not bounded by ctx, which may be why: what serves now must not depend on who waits. Stop ends it.
		return errors.Join(err, b.revert(context.WithoutCancel(ctx), old))
	}
	notice(o.Log, "backend updated", "backend", b.name, "took", time.Since(since))
	return nil
}

// change puts the options in force, process by process.
func (b *Backend) change(ctx context.Context, o *Options) error {
	if err := b.ask(func() { b.adopt(o) }); err != nil {
		return err
	}
	all, err := b.present()
	if err != nil {
		return err
	}
	for _, p := range all {
		if err := b.changeProcess(ctx, p, o); err != nil {
			return fmt.Errorf("process %d: %w", p.number, err)
		}
	}
	return b.ask(func() { b.settle(o) })
}

// revert goes back to the options, as far as it can.
func (b *Backend) revert(ctx context.Context, o *Options) error {
	if err := b.ask(func() { b.adopt(o) }); err != nil {
		return err
	}
	all, err := b.present()
	for _, p := range all {
		back := b.changeProcess(ctx, p, o)
		if back == nil {
			continue
		}
		err = errors.Join(err, fmt.Errorf("process %d: back to the old options: %w", p.number, back))
		_ = b.ask(func() { p.takeOptions(o) }) // an error: nothing is launched any more
	}
	return errors.Join(err, b.ask(func() { b.settle(o) }))
}

// changeProcess gives a process other options, by a replacement if its program sees a difference.
func (b *Backend) changeProcess(ctx context.Context, p *process, o *Options) error {
	done := false
	err := b.ask(func() { done = p.leaving || b.changeInPlace(p, o) })
	if err != nil || done {
		return err
	}
	return b.replace(ctx, p, ReasonUpdate, o)
}

// changeInPlace gives a process other options if its program sees no difference. One that is down is not waited for: what keeps
// it down is no reason to refuse a change that has nothing to do with it.
func (b *Backend) changeInPlace(p *process, o *Options) bool {
	r, launched := p.place.run, p.opts
	lives := r != nil && r.reason == ""
	if lives {
		launched = r.opts
	}
	if !launched.sameProgram(o) || p.place.retired || b.replacementOf(p) != nil {
		return false
	}
	p.takeOptions(o)
	switch {
	case lives:
		r.opts = o
		if !r.readySince.IsZero() {
			b.limitAge(r)
		}
	case r == nil && p.place.state.State == Failed:
		p.forgive()
		b.relaunch(p)
	}
	return true
}

// adopt makes the ports of o the ones at which runs begin, and lets go the processes that are too many.
func (b *Backend) adopt(o *Options) {
	b.updating = true
	for _, pl := range slices.Clone(b.places) {
		pl.retired = !slices.Contains(o.Ports, pl.port)
		if pl.retired && pl.process == nil {
			b.drop(pl)
		}
	}
	places := slices.Clone(b.places)
	for _, port := range o.Ports {
		if b.at(port) == nil {
			places = append(places, newPlace(port))
		}
	}
	// In the order of the ports; the ones that go, which are not found, are first.
	slices.SortStableFunc(places, func(x, y *place) int {
		return slices.Index(o.Ports, x.port) - slices.Index(o.Ports, y.port)
	})
	b.mu.Lock()
	b.places = places
	b.mu.Unlock()
	staying := 0
	for _, p := range slices.Clone(b.processes) {
		if !p.leaving {
			if staying++; staying > o.Processes.Max {
				b.retire(p, ReasonUpdate)
			}
		}
	}
}

// settle makes o the options of all that comes, and starts the processes that are missing.
func (b *Backend) settle(o *Options) {
	b.updating = false
	b.mu.Lock()
	b.opts = o
	b.mu.Unlock()
	b.fill()
	b.keepLimits()
}

// fill starts processes until there are Count.Min. While an Update goes on that is up to it.
func (b *Backend) fill() {
	if b.updating || b.stopping {
		return
	}
	staying := 0
	for _, p := range b.processes {
		if !p.leaving {
			staying++
		}
	}
	for ; staying < b.opts.Processes.Min; staying++ {
		free := b.spares()
		if len(free) == 0 {
			return // those that leave still have their ports; gone comes back to it
		}
		b.add(free[0])
	}
}
