package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Restart replaces all processes by new ones, one after the other, and returns when the last old one is gone. A process is ready
// before the one that it replaces leaves, as far as there is a spare port; those that were given up start again.
//
// At the first one that does not get ready it stops: the error names it, says why, and how many were replaced. Those stay, they
// work; all others go on as they were. Without a spare port the process that did not get ready is tried again and again, as
// after any exit. Another Restart or Update that goes on is waited for.
func (b *Backend) Restart(ctx context.Context) error {
	release, err := b.takeTurn(ctx)
	if err != nil {
		return fmt.Errorf("backend %s: restart: %w", b.name, err)
	}
	defer release()
	since := time.Now()
	all, err := b.present()
	if err != nil {
		return fmt.Errorf("backend %s: restart: %w", b.name, err)
	}
	for i, p := range all {
		if err := b.replace(ctx, p, ReasonRestart, nil); err != nil {
			return fmt.Errorf("backend %s: restart: process %d: %w; %d of %d processes were replaced, the others are as they were",
				b.name, p.number, err, i, len(all))
		}
	}
	notice(b.opts.Log, "backend restarted", "backend", b.name, "processes", len(all), "took", time.Since(since))
	return nil
}

// present returns the processes that there are.
func (b *Backend) present() (all []*process, err error) {
	err = b.ask(func() {
		all = slices.DeleteFunc(slices.Clone(b.processes), func(p *process) bool { return p.leaving })
	})
	return all, err
}
