package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"spillway/buffering"
	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/accesslog"
	"spillway/proxy/errorlog"
	"spillway/proxy/metrics"
	"spillway/proxy/why"
	"spillway/upstream/supervisor"
)

// Options say what to run.
type Options struct {
	Config  *configs.Config  // required
	Version string           // for SERVER_SOFTWARE and the announcements
	Out     io.Writer        // gets what an operator at a terminal wants to read at the start; nil: nobody
	Guard   func() *exec.Cmd // the command of the guard process, see supervisor.Guard; nil: none

	// Progress is told what the server is doing while Start, Reload and Restart wait for processes, so that who waits can
	// see that it goes on: a Windows service says so at each call. It is called from several goroutines; nil: nobody.
	Progress func(text string)
}

// App is a running server.
type App struct {
	opts    Options
	started time.Time
	failed  chan error // a listener ended by itself

	log       *slog.Logger      // for the whole life; the file behind it changes
	handler   *errorlog.Handler // of log
	arena     *buffering.Arena
	metrics   *metrics.Metrics
	why       *why.Store
	incidents *proxy.Incidents
	guard     *supervisor.Guard // nil before the first backend; changed by who has the turn

	series   map[string][]func() // by upstream: what ends its metrics; of who has the turn
	watchers map[string]*watcher // by upstream; of who has the turn

	present atomic.Pointer[generation]
	access  atomic.Pointer[accesslog.Logger] // of present
	closed  totals
	runs    atomic.Uint64 // numbers of the processes of all groups
	leaving atomic.Int64  // listeners of former generations that are being closed
	dropped atomic.Uint64 // lines that closed log files have lost

	turn     chan struct{}   // capacity 1: who is in it changes the server
	ending   context.Context // ends with Stop and Kill: changes are given up
	end      func()          // its cause is ErrStopping
	hurried  context.Context // ends with Kill: nobody is waited for
	hurry    context.CancelFunc
	stopping sync.Once
	retiring sync.WaitGroup // what former generations leave behind

	mu       sync.Mutex // guards all below
	backends []*backend // of which processes may run
	reloads  reloads
	lost     error // of files that were closed during the stop
}

// Start starts everything in order and returns when all listeners serve and all processes were started; they get requests
// as they become ready. On an error, which is also in the error log if that could be opened, nothing is left running. ctx
// bounds the start only; when it ends before, the error is that of ctx.
func Start(ctx context.Context, opts Options) (*App, error) {
	if opts.Progress == nil {
		opts.Progress = func(string) {}
	}
	a := &App{
		opts: opts, started: time.Now(), failed: make(chan error, 1), turn: make(chan struct{}, 1),
		series: map[string][]func(){}, watchers: map[string]*watcher{},
		arena: buffering.NewArena(int64(opts.Config.MemoryBudget)),
	}
	ending, end := context.WithCancelCause(context.Background())
	a.ending, a.end = ending, func() { end(ErrStopping) }
	a.hurried, a.hurry = context.WithCancel(context.Background())
	a.log, a.handler = newLog()
	a.why, a.incidents = why.New(whyLimits(&opts.Config.Why)), proxy.NewIncidents()
	a.metrics = a.newMetrics()
	p := a.plan(&generation{}, opts.Config)
	if err := a.start(ctx, p); err != nil {
		if p.next.errors != nil {
			a.logFailure(ctx, err)
		}
		a.abandon(p)
		a.stopGuard()
		return nil, errors.Join(err, a.lost)
	}
	a.announce()
	return a, nil
}

func (a *App) start(ctx context.Context, p *plan) error {
	if err := a.prepare(p); err != nil {
		return err
	}
	if err := supervisor.EndTogether(); err != nil {
		a.log.Warn("a process may outlive a kill", "err", err) // and no reason to serve nobody
	}
	a.present.Store(p.next)
	if p.next.admin != nil {
		p.next.admin.start() // so that a slow start can be watched
	}
	if err := a.startProcesses(ctx, p.born); err != nil {
		return err
	}
	// No client finds nobody to serve it; until then clients wait to be accepted. A backend that does not get ready is no
	// error, and is not waited for once all its processes have ended: its supervisor goes on trying, and the others serve.
	for i, err := range a.awaitReady(ctx, p) {
		if err != nil && ctx.Err() == nil {
			b := p.born[i]
			a.log.Error("no process ready, serving all the same", "backend", b.name, "err", p.unready(b, err))
		}
	}
	if err := a.awaitNames(ctx, p); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	a.swap(p)
	a.log.Log(ctx, levelNotice, "started", "version", a.opts.Version, "config", p.next.config.File)
	return nil
}

// logFailure notes why there was no start. Who called Start tells it at the terminal, so it is not told there twice. A start
// that was ended on purpose is no failure.
func (a *App) logFailure(ctx context.Context, err error) {
	if a.opts.Config.ErrorLog.Path != configs.Stderr && ctx.Err() == nil {
		a.log.Log(ctx, errorlog.LevelEmerg, "not started", "err", err)
	}
}

// openStores opens the spill folder; the arena is one for all generations.
func (a *App) openStores(p *plan) (err error) {
	config := p.next.config
	if p.prev.spill != nil && p.prev.config.TempPath == config.TempPath {
		p.next.spill = p.prev.spill
		return nil
	}
	p.next.spill, err = buffering.OpenSpillDir(config.TempPath, int64(config.TempBudget))
	if err != nil {
		return fmt.Errorf("temp_path: %w", err)
	}
	return nil
}

// startGuard starts the guard when the first backend comes; it stays until the end.
func (a *App) startGuard(p *plan) (err error) {
	if a.guard != nil || a.opts.Guard == nil || !p.next.hasBackend() {
		return nil
	}
	if a.guard, err = supervisor.StartGuard(a.opts.Guard); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

func (a *App) stopGuard() {
	if a.guard != nil {
		_ = a.guard.Stop() // it ends with us in any case
	}
}

// generation is the one that serves.
func (a *App) generation() *generation {
	if g := a.present.Load(); g != nil {
		return g
	}
	return &generation{}
}

func (a *App) progress(format string, args ...any) { a.opts.Progress(fmt.Sprintf(format, args...)) }

// takeTurn waits until nobody else changes the server. The context that it returns ends with ctx, or with the server; done
// gives the turn to the next one.
func (a *App) takeTurn(ctx context.Context) (turn context.Context, done func(), err error) {
	select {
	case a.turn <- struct{}{}:
	case <-a.ending.Done():
		return nil, nil, ErrStopping
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	if a.ending.Err() != nil {
		<-a.turn
		return nil, nil, ErrStopping
	}
	turn, cancel := context.WithCancelCause(ctx)
	unlink := context.AfterFunc(a.ending, func() { cancel(context.Cause(a.ending)) })
	return turn, func() {
		unlink()
		cancel(nil)
		<-a.turn
	}, nil
}

// Failed delivers the error of a listener that ended although nobody stopped it.
func (a *App) Failed() <-chan error { return a.failed }

// Stop stops accepting, lets running exchanges end for at most shutdown_timeout, and ends the processes. A reload or
// restart that runs is given up. That exchanges were cut is no error but a line in the error log; an error is that lines
// of a log were lost.
func (a *App) Stop() error {
	a.stopping.Do(func() { a.stop() })
	return a.lost // guarded by stopping: nobody adds to it any more
}

// Kill is Stop without patience: running exchanges are cut, and processes that do not end within a second are killed. It
// also hurries a Stop that runs.
func (a *App) Kill() error {
	a.hurry()
	a.stopping.Do(func() { a.stop() })
	return a.lost
}

func (a *App) stop() {
	a.end()
	a.turn <- struct{}{} // whoever had it has given up; nobody gets it any more
	a.log.Log(context.Background(), levelNotice, "gracefully shutting down")
	g := a.generation()
	patience, cancel := context.WithTimeout(a.hurried, time.Duration(g.config.ShutdownTimeout))
	defer cancel()
	a.closeListeners(patience, g.listeners)
	a.retiring.Wait()
	g.releaseGroups()
	a.stopGuard()
	if g.admin != nil {
		g.admin.close()
	}
	a.log.Log(context.Background(), levelNotice, "exit")
	g.releaseFiles()
}
