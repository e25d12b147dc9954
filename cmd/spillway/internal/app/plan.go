package app

import (
	"errors"
	"fmt"
	"slices"

	"spillway/configs"
	"spillway/upstream/supervisor"
)

// plan is what lies between two generations.
type plan struct {
	prev, next *generation
	bridge     *generation // nil: not needed; see bridge.go

	born    []*backend // to be started
	changed []*change
}

// change is a backend that goes on under other options.
type change struct {
	backend       *backend
	from, to      *configs.Backend
	before, after supervisor.Options
}

// assemble makes the groups and backends of the next generation, or takes those of the one before.
func (a *App) assemble(p *plan) error {
	ports, err := a.choosePorts(p)
	if err != nil {
		return err
	}
	for _, u := range p.next.config.Upstreams {
		g, err := a.assembleGroup(p, u, ports[u.Name])
		if err != nil {
			return fmt.Errorf("upstream %s: %w", u.Name, err)
		}
		p.next.groups = append(p.next.groups, g)
	}
	if err := a.buildFronts(p.next); err != nil {
		return err
	}
	if p.next.secure, err = newListenersTLS(p.next.config); err != nil {
		return err
	}
	return a.buildBridge(p)
}

// inherits says whether the processes of an upstream are those of the generation before. With another protocol they are
// not: no client may meet a process that does not understand it.
func (p *plan) inherits(u *configs.Upstream) bool {
	before := p.prev.upstream(u.Name)
	return before != nil && before.Backend != nil && u.Backend != nil && before.Protocol == u.Protocol
}

func (a *App) assembleGroup(p *plan, u *configs.Upstream, ports []int) (*group, error) {
	before, old := p.prev.upstream(u.Name), p.prev.group(u.Name)
	if old != nil && sameGroup(before, u) && p.sameResolver(u) && slices.Equal(old.ports, ports) {
		if u.Backend != nil && !p.sameProcesses(u) {
			a.planChange(p, old, u, ports)
		}
		old.hold()
		return old, nil
	}
	if u.Backend == nil {
		g, err := a.newGroup(u, nil, nil, old)
		if err == nil {
			a.follow(g, old, &p.next.config.Resolver)
		}
		return g, err
	}
	b, err := a.assembleBackend(p, u, ports)
	if err != nil {
		return nil, err
	}
	g, err := a.newGroup(u, ports, b, old)
	if err != nil {
		b.letGo()
	}
	return g, err
}

// assembleBackend returns a backend with one more user.
func (a *App) assembleBackend(p *plan, u *configs.Upstream, ports []int) (*backend, error) {
	if !p.inherits(u) {
		b, err := a.newBackend(p.next.config, u, ports)
		if err == nil {
			p.born = append(p.born, b)
		}
		return b, err
	}
	old := p.prev.group(u.Name)
	if !slices.Equal(old.ports, ports) || !p.sameProcesses(u) {
		a.planChange(p, old, u, ports)
	}
	old.backend.hold()
	return old.backend, nil
}

// sameProcesses says whether the processes of an inherited backend go on without a word to their supervisor.
func (p *plan) sameProcesses(u *configs.Upstream) bool {
	before := p.prev.upstream(u.Name)
	return p.prev.config.ShutdownTimeout == p.next.config.ShutdownTimeout && configs.Equal(before.Script, u.Script) &&
		configs.Equal(before.TLS, u.TLS) && sameProcesses(before.Backend, u.Backend) // how they are asked, and what they are
}

func (a *App) planChange(p *plan, old *group, u *configs.Upstream, ports []int) {
	b := old.backend
	p.changed = append(p.changed, &change{
		backend: b, from: p.prev.upstream(u.Name).Backend, to: u.Backend,
		before: a.supervisorOptions(b, p.prev.config, p.prev.upstream(u.Name), old.ports),
		after:  a.supervisorOptions(b, p.next.config, u, ports),
	})
}

// choosePorts returns the ports of each upstream with a backend: those of the configuration, or as many as its processes
// and one more, so that a replacement can get ready before the process that it replaces ends. Ports that were chosen before
// stay.
func (a *App) choosePorts(p *plan) (map[string][]int, error) {
	ports, missing := map[string][]int{}, map[string]int{}
	total := 0
	for _, u := range p.next.config.Upstreams {
		switch {
		case u.Backend == nil:
		case len(u.Backend.Ports) > 0:
			if err := a.checkOwner(p, u); err != nil {
				return nil, err
			}
			ports[u.Name] = u.Backend.Ports
		default:
			if p.inherits(u) && p.prev.upstream(u.Name).Backend.Ports == nil {
				ports[u.Name] = p.prev.group(u.Name).ports
			}
			missing[u.Name] = max(0, u.Backend.Processes.Max+1-len(ports[u.Name]))
			total += missing[u.Name]
		}
	}
	free, err := a.freePorts(p.next.config, total)
	if err != nil {
		return nil, err
	}
	for _, u := range p.next.config.Upstreams {
		n := missing[u.Name]
		ports[u.Name] = append(slices.Clip(ports[u.Name]), free[:n]...)
		free = free[n:]
	}
	return ports, nil
}

// checkOwner refuses ports that are those of another backend which still runs. A process would find them free as long as
// they are spare.
func (a *App) checkOwner(p *plan, u *configs.Upstream) error {
	for _, b := range a.running() {
		if p.inherits(u) && p.prev.group(u.Name).backend == b {
			continue
		}
		for _, port := range b.allPorts() {
			if slices.Contains(u.Backend.Ports, port) {
				return fmt.Errorf("upstreams.%s.backend.ports: port %d belongs to upstream %s until its processes have ended; "+
					"choose another, or restart spillway", u.Name, port, b.name)
			}
		}
	}
	return nil
}

// freePorts returns n ports for all backends at once: another call may return the same ones. Nobody listens on a spare
// port, so those that are somebody's are left out.
func (a *App) freePorts(config *configs.Config, n int) ([]int, error) {
	if n == 0 {
		return nil, nil
	}
	var taken []int
	for _, b := range a.running() {
		taken = append(taken, b.allPorts()...)
	}
	for _, u := range config.Upstreams {
		if u.Backend != nil {
			taken = append(taken, u.Backend.Ports...)
		}
	}
	free, err := supervisor.FreePorts(n + len(taken))
	if err != nil {
		return nil, err
	}
	free = slices.DeleteFunc(free, func(port int) bool { return slices.Contains(taken, port) })
	if len(free) < n {
		return nil, errors.New("find free ports: too few")
	}
	return free[:n], nil
}
