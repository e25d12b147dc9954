package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"spillway/configs"
	"spillway/upstream"
	"spillway/upstream/supervisor"
)

// backend joins a supervised backend with the peers that are its processes. supervisor and upstream do not know each
// other: here an event of the one becomes a state of the other.
type backend struct {
	config     *configs.Upstream
	ports      []int // one for each process, in order
	supervised *supervisor.Backend
}

// prepareBackends chooses the ports and makes the backends; nothing is started.
func (a *App) prepareBackends() error {
	missing := 0
	for _, u := range a.config.Upstreams {
		if u.Backend == nil {
			continue
		}
		b := &backend{config: u}
		if len(u.Backend.Ports) > 0 {
			b.ports = u.Backend.Ports[:u.Backend.Processes.Max]
		} else {
			missing += u.Backend.Processes.Max
		}
		a.backends = append(a.backends, b)
	}
	free, err := supervisor.FreePorts(missing) // for all at once: another call may return the same ones
	if err != nil {
		return err
	}
	for _, b := range a.backends {
		if b.ports == nil {
			b.ports, free = free[:b.config.Backend.Processes.Max], free[b.config.Backend.Processes.Max:]
		}
	}
	if len(a.backends) == 0 || a.opts.Guard == nil {
		return nil
	}
	if a.guard, err = supervisor.StartGuard(a.opts.Guard); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// superviseBackends gives each backend its supervisor; nothing is started. The error names the backend.
func (a *App) superviseBackends() (err error) {
	for _, b := range a.backends {
		if b.supervised, err = supervisor.New(a.supervisorOptions(b)); err != nil {
			return err
		}
	}
	return nil
}

// startBackends starts all processes of all backends, and waits until each backend has one that is ready, so that no
// client finds nobody to serve it; until then clients wait to be accepted. A backend that does not get ready is no error:
// its supervisor goes on trying, and the others serve. What was started before an error is stopped by undo.
func (a *App) startBackends(ctx context.Context) error {
	for _, b := range a.backends {
		if err := b.supervised.Start(ctx); err != nil {
			return err
		}
	}
	var waiting sync.WaitGroup
	for _, b := range a.backends {
		waiting.Go(func() { // ends with ready.timeout, or with ctx
			patience := time.Duration(b.config.Backend.Ready.Timeout)
			ready, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if b.supervised.WaitReady(ready, 1) != nil && ctx.Err() == nil {
				a.log.Error("no process ready, serving all the same", "backend", b.config.Name, "took", patience)
			}
		})
	}
	waiting.Wait()
	return ctx.Err()
}

func (a *App) supervisorOptions(b *backend) supervisor.Options {
	config := b.config.Backend
	env := map[string]string{}
	for _, field := range config.Env {
		env[field.Name] = field.Value
	}
	peers := a.current.group(b.config.Name).peers.Peers()
	return supervisor.Options{
		Name: b.config.Name, Command: config.Command, Directory: config.Directory, Env: env,
		Processes: supervisor.Count{Min: config.Processes.Max, Max: config.Processes.Max}, Ports: b.ports,
		Ready:       supervisor.Readiness{Path: config.Ready.Path, Timeout: time.Duration(config.Ready.Timeout)},
		StopTimeout: time.Duration(config.StopTimeout),
		BackoffMin:  time.Duration(config.BackoffMin), BackoffMax: time.Duration(config.BackoffMax),
		Guard: a.guard, OnEvent: func(e supervisor.Event) { apply(e, peers[slices.Index(b.ports, e.Port)]) }, Log: a.log,
	}
}

// apply turns what happened to a process into the state of its peer: only a process that is ready gets requests.
func apply(e supervisor.Event, peer *upstream.Peer) {
	state := upstream.Coming
	if e.State == supervisor.Ready {
		state = upstream.Serving
	}
	peer.SetState(state)
}

// processes returns the state of the processes behind an upstream's peers, in their order; nil when it has no backend.
func (a *App) processes(name string) []ProcessStatus {
	for _, b := range a.backends {
		if b.config.Name != name {
			continue
		}
		var all []ProcessStatus
		states := b.supervised.Snapshot()
		for i := range states {
			p := &states[i]
			all = append(all, ProcessStatus{
				Number: p.Number, PID: p.PID, State: p.State.String(), Since: p.Since,
				Starts: p.Starts, Exits: p.Exits, Restarts: p.Restarts, LastExit: p.LastExit.Text,
			})
		}
		return all
	}
	return nil
}

// sum adds up a number of all processes of the backend.
func (b *backend) sum(number func(*supervisor.ProcessState) int) int {
	total := 0
	states := b.supervised.Snapshot()
	for i := range states {
		total += number(&states[i])
	}
	return total
}

// ready counts the processes that get requests.
func (b *backend) ready() int {
	return b.sum(func(p *supervisor.ProcessState) int {
		if p.State == supervisor.Ready {
			return 1
		}
		return 0
	})
}

// stopBackends ends all processes; it returns when they are gone.
func (a *App) stopBackends() {
	var stopped sync.WaitGroup
	for _, b := range a.backends {
		if b.supervised != nil {
			stopped.Go(func() {
				if err := b.supervised.Stop(context.Background()); err != nil {
					a.log.Error("processes survived", "backend", b.config.Name, "err", err)
				}
			})
		}
	}
	stopped.Wait()
	if a.guard != nil {
		_ = a.guard.Stop() // it ends with us in any case
	}
}
