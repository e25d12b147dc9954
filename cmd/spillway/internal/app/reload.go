package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"spillway/configs"
	"spillway/upstream/supervisor"
)

// One generation follows the other in these steps; the first generation follows one that has nothing. Until the swap
// nothing of what serves has changed, and whatever goes wrong is undone by giving up the next generation.
//
//  1. prepare opens, binds, builds and compiles what the next generation has and the one before has not.
//  2. launch starts the new backends and waits until each has a process that is ready; awaitNames, until each new host name of a
//     peer was asked for.
//  3. change lets the processes of changed backends move to their new options, one by one.
//  4. swap lets all listeners serve by the next generation, and clients in by new ones.
//  5. retire gives up what only the generation before has, in the background, when its last exchange has ended.

// ErrStopping says that the server is being stopped. As the cause of a context it keeps a supervisor from going back to what
// was: see Update of supervisor.Backend.
var ErrStopping error = stoppingError{}

type stoppingError struct{}

// Error says what is going on.
func (stoppingError) Error() string { return "spillway is being stopped" }

// Is makes it what supervisors call so.
func (stoppingError) Is(target error) bool { return target == supervisor.ErrStopped }

// Reload replaces the configuration without losing a request or a connection. What means the same in both configurations
// stays as it is, its processes included. It returns when the new configuration serves; what only the old one had is given
// up later, when its last exchange has ended or shutdown_timeout is over. On an error nothing has changed. One reload or
// restart runs at a time, a second one waits. When ctx ends, or the server is stopped, so does the reload.
func (a *App) Reload(ctx context.Context, config *configs.Config) error {
	ctx, done, err := a.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer done()
	began := time.Now()
	err = a.reload(ctx, config)
	took := time.Since(began)
	status := &ReloadStatus{At: began, Took: took.Seconds()}
	if err != nil {
		status.Error = err.Error()
		a.log.Error("configuration not reloaded", "file", config.File, "took", took, "err", err)
	} else {
		a.log.Log(ctx, levelNotice, "configuration reloaded", "file", config.File, "took", took)
	}
	a.noteReload(status)
	return err
}

func (a *App) reload(ctx context.Context, config *configs.Config) error {
	p := a.plan(a.generation(), config)
	err := a.prepare(p)
	if err == nil {
		err = a.launch(ctx, p)
	}
	if err == nil {
		err = a.awaitNames(ctx, p)
	}
	if err == nil {
		err = a.change(ctx, p)
	}
	if err == nil {
		err = context.Cause(ctx) // before the swap it is not too late
	}
	if err != nil {
		a.abandon(p)
		return err
	}
	a.swap(p)
	a.retire(p)
	return nil
}

func (a *App) plan(prev *generation, config *configs.Config) *plan {
	return &plan{prev: prev, next: &generation{number: prev.number + 1, config: config, since: time.Now()}}
}

// prepare makes all that the next generation needs. After an error abandon undoes what was made.
func (a *App) prepare(p *plan) error {
	for _, step := range []func(*plan) error{a.openLogs, a.openStores, a.bind, a.startGuard, a.assemble} {
		if err := step(p); err != nil {
			return err
		}
	}
	return nil
}

// abandon gives up a generation that never served.
func (a *App) abandon(p *plan) {
	a.closeNew(p)
	p.next.release()
	if p.bridge != nil {
		a.retreat(p)
	}
}

// launch starts the new backends. One that has no ready process in time is an error: what is asked for would not work.
func (a *App) launch(ctx context.Context, p *plan) error {
	if err := a.startProcesses(ctx, p.born); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	for i, err := range a.awaitReady(ctx, p) {
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := p.born[i]
		_ = b.supervised.Stop(context.Background()) // its last words come with its end
		return fmt.Errorf("upstream %s: %s%s", b.name, p.unready(b, err), b.lastWords())
	}
	return nil
}

// startProcesses starts all processes of backends; what was started before an error is stopped by who gives them up.
func (a *App) startProcesses(ctx context.Context, backends []*backend) error {
	for _, b := range backends {
		a.progress("upstream %s: starting processes", b.name)
		if err := b.supervised.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// awaitReady waits until each new backend has a process that is ready, if it is to have one at once, and returns for each how
// that ended.
func (a *App) awaitReady(ctx context.Context, p *plan) []error {
	ended := make([]error, len(p.born))
	var waiting sync.WaitGroup
	for i, b := range p.born {
		waiting.Go(func() { // ends with ready.timeout, or with ctx
			ready, cancel := context.WithTimeout(ctx, p.patience(b))
			defer cancel()
			if b.config.Load().Processes.Min > 0 {
				ended[i] = b.supervised.WaitFirst(ready)
			}
		})
	}
	waiting.Wait()
	return ended
}

// patience is how long a new backend has to get its first process ready.
func (p *plan) patience(b *backend) time.Duration {
	return time.Duration(p.next.upstream(b.name).Backend.Ready.Timeout)
}

// unready says in words why a new backend has no process that is ready; err is what awaitReady returned.
func (p *plan) unready(b *backend, err error) string {
	if errors.Is(err, supervisor.ErrNoneReady) {
		return "every process has ended before it was ready"
	}
	return fmt.Sprintf("no process got ready within %v", p.patience(b))
}

// change moves the processes of changed backends to their new options. After an error those that have moved move back.
func (a *App) change(ctx context.Context, p *plan) error {
	if p.bridge != nil {
		p.bridge.serve(p.prev)
		p.awaitServed(ctx)
	}
	for i, c := range p.changed {
		err := c.move(ctx, c.to, c.after)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if a.ending.Err() != nil { // nobody needs them any more
			return err
		}
		for _, moved := range slices.Backward(p.changed[:i]) {
			if back := moved.move(a.ending, moved.from, moved.before); back != nil {
				err = errors.Join(err, fmt.Errorf("and back: %w", back))
			}
		}
		return err
	}
	return nil
}

// move lets new processes have other options, and replaces those that run.
func (c *change) move(ctx context.Context, config *configs.Backend, opts supervisor.Options) error {
	was := c.backend.config.Load()
	c.backend.use(config)
	err := c.backend.supervised.Update(ctx, opts)
	if err != nil {
		c.backend.use(was)
	}
	return err
}

// retreat lets the generation before serve again, and gives the bridge up.
func (a *App) retreat(p *plan) {
	p.prev.serve(p.bridge)
	a.retiring.Go(func() { // ends with shutdown_timeout, or with Kill
		ctx, cancel := context.WithTimeout(a.hurried, time.Duration(p.prev.config.ShutdownTimeout))
		defer cancel()
		a.giveUp(ctx, p.bridge)
	})
}

// swap makes the next generation the present one; nothing of it can fail.
func (a *App) swap(p *plan) {
	next := p.next
	a.useLogs(next)
	a.arena.SetBudget(int64(next.config.MemoryBudget))
	a.why.Limit(whyLimits(&next.config.Why))
	next.spill.SetBudget(int64(next.config.TempBudget))
	limits := next.limits()
	for _, l := range next.listeners {
		l.serving.Update(limits[l.address])
	}
	for _, problem := range next.config.CheckExpiry() {
		a.log.Warn("certificate expires", "file", problem.File, "line", problem.Line, "err", problem.Message)
	}
	next.serve(p.former()...)
	a.present.Store(next)
	a.showSeries(next)
	a.watchFiles(next)
	for _, l := range next.listeners {
		a.accept(l)
	}
	if next.admin != nil {
		next.admin.start()
	}
}

// former are the generations that served before the next one.
func (p *plan) former() []*generation {
	if p.bridge != nil {
		return []*generation{p.prev, p.bridge}
	}
	return []*generation{p.prev}
}

// retire gives up the generation before. Its sockets are closed soon, see openSocket.
func (a *App) retire(p *plan) {
	prev, patience := p.prev, time.Duration(p.next.config.ShutdownTimeout)
	var gone []*listener
	for _, l := range prev.listeners {
		if p.next.listener(l.address) == nil {
			gone = append(gone, l)
		}
	}
	if prev.admin != nil && prev.admin != p.next.admin {
		prev.admin.refuse()
		a.retiring.Go(prev.admin.close) // ends after a second
	}
	a.leaving.Add(int64(len(gone)))
	a.retiring.Go(func() { // ends with shutdown_timeout, or with Kill
		ctx, cancel := context.WithTimeout(a.hurried, patience)
		defer cancel()
		a.leave(ctx, gone)
		a.closeListeners(ctx, gone)
		for _, g := range p.former() {
			a.giveUp(ctx, g)
		}
		a.forgetSeries(prev)
	})
}

// giveUp releases a generation when its last exchange has ended, or ctx.
func (a *App) giveUp(ctx context.Context, g *generation) {
	if g.awaitIdle(ctx) != nil {
		a.log.Log(ctx, levelNotice, "requests of a former configuration still run")
	}
	g.release()
}
