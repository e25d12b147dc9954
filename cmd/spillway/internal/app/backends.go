package app

import (
	"context"
	"fmt"
	"strconv"
	"strings"
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
	for _, u := range a.config.Upstreams {
		if u.Backend == nil {
			continue
		}
		ports := u.Backend.Ports
		if len(ports) == 0 {
			var err error
			if ports, err = supervisor.FreePorts(u.Backend.Processes); err != nil {
				return fmt.Errorf("upstream %s: ports: %w", u.Name, err)
			}
		}
		a.backends = append(a.backends, &backend{config: u, ports: ports[:u.Backend.Processes]})
	}
	if len(a.backends) == 0 || a.opts.Guard == nil {
		return nil
	}
	var err error
	if a.guard, err = supervisor.StartGuard(a.opts.Guard); err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}

// startBackends starts all processes of all backends, and waits until each backend has one that is ready, so that no
// client finds nobody to serve it; until then clients wait to be accepted. A backend that does not get ready is no error:
// its supervisor goes on trying, and the others serve. What was started before an error is stopped by stop.
func (a *App) startBackends(ctx context.Context) error {
	for _, b := range a.backends {
		made, err := supervisor.New(a.supervisorOptions(b))
		if err != nil {
			return fmt.Errorf("upstream %s: %w", b.config.Name, err)
		}
		b.supervised = made
	}
	for _, b := range a.backends {
		if err := b.supervised.Start(ctx); err != nil {
			return fmt.Errorf("upstream %s: %w", b.config.Name, err)
		}
	}
	for _, b := range a.backends {
		waiting, cancel := context.WithTimeout(ctx, time.Duration(b.config.Backend.Ready.Timeout))
		if err := b.supervised.WaitReady(waiting, 1); err != nil && ctx.Err() == nil {
			a.log.Warn("no process ready", "backend", b.config.Name, "err", err)
		}
		cancel()
	}
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
		Processes: config.Processes, Ports: b.ports,
		Ready:       supervisor.Readiness{Path: config.Ready.Path, Timeout: time.Duration(config.Ready.Timeout)},
		StopTimeout: time.Duration(config.StopTimeout),
		BackoffMin:  time.Duration(config.BackoffMin), BackoffMax: time.Duration(config.BackoffMax),
		Guard: a.guard, OnEvent: func(e supervisor.Event) { apply(e, peers) }, Log: a.log,
	}
}

// apply turns what happened to a process into the state of its peer: only a process that is ready gets requests.
func apply(e supervisor.Event, peers []*upstream.Peer) {
	peers[e.Process-1].SetReady(e.State == supervisor.Ready)
}

// processes returns the state of the processes behind an upstream's peers, in their order; nil when it has no backend.
func (a *App) processes(name string) []ProcessStatus {
	for _, b := range a.backends {
		if b.config.Name != name || b.supervised == nil {
			continue
		}
		var all []ProcessStatus
		for _, p := range b.supervised.Snapshot() {
			all = append(all, ProcessStatus{
				Number: p.Number, PID: p.PID, State: p.State.String(), Since: p.Since,
				Starts: p.Starts, Exits: p.Exits, LastExit: p.LastExit.Text,
			})
		}
		return all
	}
	return nil
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

// portList writes ports for people: a range when they are one.
func portList(ports []int) string {
	first, last := ports[0], ports[len(ports)-1]
	if len(ports) > 2 && last-first == len(ports)-1 {
		return fmt.Sprintf("%d-%d", first, last)
	}
	var texts []string
	for _, p := range ports {
		texts = append(texts, strconv.Itoa(p))
	}
	return strings.Join(texts, ", ")
}
