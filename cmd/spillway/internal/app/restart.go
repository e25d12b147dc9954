package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUnknownUpstream says that there is no upstream of a name, or none with processes.
var ErrUnknownUpstream = errors.New("no such upstream with processes")

// Restart replaces the processes of an upstream, or of all when the name is empty, one at a time and without losing a
// request. On an error the processes that were there before serve, or have been started again. One reload or restart runs
// at a time, a second one waits. When ctx ends, or the server is stopped, so does the restart.
func (a *App) Restart(ctx context.Context, upstream string) error {
	ctx, done, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	var chosen []*backend
	var names []string
	for _, g := range a.generation().groups {
		if g.backend == nil {
			continue
		}
		names = append(names, g.config.Name)
		if upstream == "" || upstream == g.config.Name {
			chosen = append(chosen, g.backend)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("%w: the configuration has no backend, so there is nothing to restart", ErrUnknownUpstream)
	}
	if len(chosen) == 0 {
		return fmt.Errorf("%w: %q; there are: %s", ErrUnknownUpstream, upstream, strings.Join(names, ", "))
	}
	var errs []error
	for _, b := range chosen {
		a.progress("upstream %s: restarting processes", b.name)
		began := time.Now()
		err := b.supervised.Restart(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if took := time.Since(began); err != nil {
			a.log.Error("processes not restarted", "backend", b.name, "took", took, "err", err)
		} else {
			a.log.Log(ctx, levelNotice, "processes restarted", "backend", b.name, "took", took)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
