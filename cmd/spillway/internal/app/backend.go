package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spillway/configs"
	"spillway/proxy/why"
	"spillway/upstream"
	"spillway/upstream/supervisor"
)

// backend joins a supervised backend with the peers that are its processes. supervisor and upstream do not know each other:
// here an event of the one becomes a state of the other. It lives as long as a generation has a group of it.
type backend struct {
	share

	name       string
	supervised *supervisor.Backend
	why        *why.Store
	outputs    *outputs
	log        *slog.Logger

	config atomic.Pointer[configs.Backend] // that new processes get

	mu     sync.Mutex // guards all below
	groups []*group
	told   map[int]supervisor.Event // the last one of each port; a port of which nothing was told is Idle
	births map[int][]birth          // of the process at each port
}

// newBackend makes the backend of an upstream; nothing is started. The last group that lets it go stops it.
func (a *App) newBackend(config *configs.Config, u *configs.Upstream, ports []int) (*backend, error) {
	log := a.log.With("backend", u.Name)
	b := &backend{name: u.Name, log: log, outputs: newOutputs(log), told: map[int]supervisor.Event{}, births: map[int][]birth{}, why: a.why}
	b.config.Store(u.Backend)
	for _, port := range ports[:u.Backend.Processes.Min] {
		b.told[port] = supervisor.Event{State: supervisor.Starting} // it is the first thing that will be told
	}
	var err error
	b.supervised, err = supervisor.New(a.supervisorOptions(b, config, u, ports))
	if err != nil {
		return nil, err
	}
	b.end = func() { a.endBackend(b) }
	a.mu.Lock()
	a.backends = append(a.backends, b)
	a.mu.Unlock()
	return b, nil
}

// supervisorOptions are what the supervisor has to know of an upstream's backend.
func (a *App) supervisorOptions(
	b *backend, whole *configs.Config, u *configs.Upstream, ports []int,
) supervisor.Options {
	config := u.Backend
	env := map[string]string{}
	for _, field := range config.Env {
		env[field.Name] = field.Value
	}
	n := &config.Processes
	return supervisor.Options{
		Name: u.Name, Command: config.Command, Directory: config.Directory, Env: env, Ports: ports,
		Processes: supervisor.Count{
			Min: n.Min, Max: n.Max, SpareMin: n.SpareMin, SpareMax: n.SpareMax, Idle: time.Duration(n.Idle),
		},
		Ready: supervisor.Readiness{
			Path: config.Ready.Path, Ask: newAsk(u, a.opts.Version), Timeout: time.Duration(config.Ready.Timeout), Warmup: config.Ready.Warmup,
			Settle: time.Duration(config.Ready.Settle),
		},
		DrainTimeout: time.Duration(whole.ShutdownTimeout), // the same question: how long may a request still take
		StopSignal:   config.StopSignal, StopTimeout: time.Duration(config.StopTimeout),
		BackoffMin: time.Duration(config.BackoffMin), BackoffMax: time.Duration(config.BackoffMax),
		RapidFail: supervisor.RapidFail{Times: config.RapidFail.Times, Within: time.Duration(config.RapidFail.Within)},
		MaxAge:    time.Duration(config.MaxAge), MaxMemory: int64(config.MaxMemory),
		Drain: b.drain, Busy: b.busy,
		Guard: a.guard, Log: a.log,
		OnEvent: func(e supervisor.Event) {
			b.apply(&e)
			if e.State == supervisor.Ready {
				a.progress("upstream %s: process %d is ready", b.name, e.Process)
			}
		},
		Output: func(process, port int) io.WriteCloser { return b.outputs.open(&b.config.Load().Output, process, port) },
	}
}

// stateOf turns what happened to a process into the state of its peer: only one that is ready gets requests, and it is worth
// waiting for one that is on its way, or that can be started when somebody waits. The caller holds the lock.
func (b *backend) stateOf(e *supervisor.Event) upstream.State {
	switch e.State {
	case supervisor.Ready:
		return upstream.Serving
	case supervisor.Starting, supervisor.Restarting, supervisor.Draining, supervisor.Stopping, supervisor.Exited:
		if e.Reason == supervisor.ReasonStop {
			return upstream.Away
		}
		return upstream.Coming
	case supervisor.Idle:
		if n := &b.config.Load().Processes; n.Min != n.Max && b.givenUp() < n.Max {
			return upstream.Coming
		}
		return upstream.Away
	case supervisor.Failed, supervisor.Stopped:
		return upstream.Away
	default:
		return upstream.Away
	}
}

// givenUp counts the processes that nobody starts any more; the caller holds the lock.
func (b *backend) givenUp() int {
	n := 0
	for port := range b.told {
		if b.told[port].State == supervisor.Failed {
			n++
		}
	}
	return n
}

// apply gives the peers their states: of the port, and of idle ones, for which it may count. Events of a port come in order;
// the lock keeps a group that joins at the same time from missing one.
func (b *backend) apply(e *supervisor.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told[e.Port] = *e
	if e.State == supervisor.Exited {
		b.noteEnd(e)
	}
	for _, g := range b.groups {
		b.refresh(g)
	}
}

// join lets the peers of a group follow the processes.
func (b *backend) join(g *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups = append(b.groups, g)
	b.refresh(g)
}

// refresh gives the peers of a group the states of their ports; the caller holds the lock.
func (b *backend) refresh(g *group) {
	for i, p := range g.peers.Peers() {
		e := b.told[g.ports[i]]
		before := p.Runs()
		p.SetSpare(e.State == supervisor.Idle)
		p.SetState(b.stateOf(&e))
		if run := p.Runs(); run != before {
			b.noteRun(p, run, &e)
		}
	}
}

// use makes this the configuration of new processes. Whether an idle port is worth waiting for may change with it.
func (b *backend) use(config *configs.Backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config.Store(config)
	for _, g := range b.groups {
		b.refresh(g)
	}
}

// leave ends what join began.
func (b *backend) leave(g *group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.groups = slices.DeleteFunc(b.groups, func(other *group) bool { return other == g })
}

// joined are the groups of all generations that use the backend.
func (b *backend) joined() []*group {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.groups)
}

// drain waits until no exchange is at a port any more, whichever group it came through.
func (b *backend) drain(ctx context.Context, port int) {
	began := time.Now()
	for _, g := range b.joined() {
		if p := g.peer(port); p == nil || p.Drained(ctx) == nil {
			continue
		}
		if n := b.busy(port); n > 0 {
			b.log.Warn("requests cut with their process", "port", port, "requests", n,
				"took", time.Since(began).Round(time.Millisecond), "err", whyCut(ctx.Err()))
		}
		return // who waits has given up
	}
}

// busy counts the exchanges at a port, those of all groups: they share the process.
func (b *backend) busy(port int) int64 {
	for _, g := range b.joined() {
		if p := g.peer(port); p != nil {
			return p.Busy()
		}
	}
	return 0
}

// endBackend stops the processes; it returns when they are gone.
func (a *App) endBackend(b *backend) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(a.hurried, func() { time.AfterFunc(killPatience, cancel) })()
	if err := b.supervised.Stop(ctx); err != nil {
		a.log.Error("processes survived", "backend", b.name, "err", err)
	}
	a.mu.Lock()
	a.backends = slices.DeleteFunc(a.backends, func(other *backend) bool { return other == b })
	a.mu.Unlock()
}

// running are the backends of which processes may run, those of former generations included.
func (a *App) running() []*backend {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.backends)
}

// allPorts are those that the backend has in any generation.
func (b *backend) allPorts() []int {
	var ports []int
	for _, g := range b.joined() {
		ports = append(ports, missingIn(ports, g.ports)...)
	}
	return ports
}

// killPatience is what processes have to end by themselves when the server is killed.
const killPatience = time.Second

// lastWords says how the last run of a backend's processes ended, for the message that none of them got ready.
func (b *backend) lastWords() string {
	var last *supervisor.Exit
	states := b.supervised.Snapshot()
	for i := range states {
		if exit := &states[i].LastExit; exit.Text != "" && (last == nil || exit.At.After(last.At)) {
			last = exit
		}
	}
	if last == nil {
		return ""
	}
	text := "; the last one to end: " + last.Text
	if len(last.Output) > 0 {
		text += fmt.Sprintf("; its last output: %q", strings.Join(last.Output[max(0, len(last.Output)-5):], "\n"))
	}
	return text
}
