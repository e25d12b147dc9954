package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"time"

	"spillway/buffering"
	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/errorlog"
	"spillway/proxy/metrics"
	"spillway/upstream/supervisor"
)

// Options say what to run.
type Options struct {
	Config  *configs.Config  // required
	Version string           // for SERVER_SOFTWARE and the announcements
	Out     io.Writer        // gets what an operator at a terminal wants to read at the start; nil: nobody
	Guard   func() *exec.Cmd // the command of the guard process, see supervisor.Guard; nil: none
}

// App is a running server.
type App struct {
	opts   Options
	config *configs.Config

	logs      logs
	log       *slog.Logger
	arena     *buffering.Arena
	spill     *buffering.SpillDir
	metrics   *metrics.Metrics
	listeners []*listener
	backends  []*backend
	guard     *supervisor.Guard
	admin     *admin
	current   *generation

	started time.Time
	failed  chan error // a listener ended by itself
}

// parts are what a generation is built with.
type parts struct {
	log       *slog.Logger
	observers []func(*proxy.Exchange)
	arena     *buffering.Arena
	spill     *buffering.SpillDir
	version   string
}

// Start starts everything in order and returns when all listeners serve and all processes were started; they get requests
// as they become ready. On an error, which is also in the error log if that could be opened, nothing is left running. ctx
// bounds the start only; when it ends before, the error is that of ctx.
func Start(ctx context.Context, opts Options) (*App, error) {
	a := &App{opts: opts, config: opts.Config, started: time.Now(), failed: make(chan error, 1)}
	if err := a.start(ctx); err != nil {
		a.logFailure(ctx, err)
		a.undo(0)
		return nil, errors.Join(err, a.logs.close())
	}
	a.announce()
	return a, nil
}

func (a *App) start(ctx context.Context) error {
	for _, step := range []func() error{a.openLogs, a.openStores, a.bind, a.build} {
		if err := step(); err != nil {
			return err
		}
	}
	if a.admin != nil {
		go a.admin.serve() // ends with close, in undo
	}
	if err := supervisor.EndTogether(); err != nil {
		a.log.Warn("a process may outlive a kill", "err", err) // and no reason to serve nobody
	}
	if err := a.startBackends(ctx); err != nil {
		return err
	}
	a.serve()
	a.log.Log(ctx, levelNotice, "started", "version", a.opts.Version, "config", a.config.File)
	return nil
}

// logFailure notes why there was no start. Who called Start tells it at the terminal, so it is not told there twice.
func (a *App) logFailure(ctx context.Context, err error) {
	if a.log != nil && a.config.ErrorLog.Path != configs.Stderr {
		a.log.Log(ctx, errorlog.LevelEmerg, "not started", "err", err)
	}
}

// openStores makes the memory and disk budgets.
func (a *App) openStores() (err error) {
	a.arena = buffering.NewArena(int64(a.config.MemoryBudget))
	a.spill, err = buffering.OpenSpillDir(a.config.TempPath, int64(a.config.TempBudget))
	if err != nil {
		return fmt.Errorf("temp_path: %w", err)
	}
	return nil
}

// build makes the generation of the configuration, and the backends behind it.
func (a *App) build() error {
	if err := a.prepareBackends(); err != nil {
		return err
	}
	ports := map[string][]int{}
	for _, b := range a.backends {
		ports[b.config.Name] = b.ports
	}
	a.metrics = a.newMetrics()
	var err error
	a.current, err = newGeneration(a.config, ports, parts{
		log: a.log, arena: a.arena, spill: a.spill, version: a.opts.Version,
		observers: a.observers(),
	})
	if err != nil {
		return err
	}
	for _, l := range a.listeners {
		l.front.Store(a.current.fronts[l.address])
	}
	a.expectUpstreams()
	return a.superviseBackends()
}

// Failed delivers the error of a listener that ended although nobody stopped it.
func (a *App) Failed() <-chan error { return a.failed }

// Stop stops accepting, lets running exchanges end for at most shutdown_timeout, and ends the processes. That exchanges
// were cut then is no error but a line in the error log.
func (a *App) Stop() error {
	a.log.Log(context.Background(), levelNotice, "gracefully shutting down")
	a.undo(time.Duration(a.config.ShutdownTimeout))
	a.log.Log(context.Background(), levelNotice, "exit")
	return a.logs.close()
}

// undo undoes start, as far as it came, but for the logs.
func (a *App) undo(patience time.Duration) {
	a.closeListeners(patience)
	a.stopBackends()
	if a.admin != nil {
		a.admin.close()
	}
	if a.current != nil {
		for _, g := range a.current.groups {
			g.peers.Close()
		}
	}
}
