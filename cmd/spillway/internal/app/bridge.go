package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"spillway/upstream"
)

// A backend that changes its ports moves process by process. Before the swap clients are served by the generation before,
// whose group knows none of the new ports: it would have fewer and fewer peers, and at last none. So while the processes
// move, a bridge serves: the configuration of before with groups that have both, the old ports and the new ones.

// buildBridge makes the bridge, if a backend gets ports that it had not.
func (a *App) buildBridge(p *plan) error {
	moves := func(c *change) bool { return len(missingIn(c.before.Ports, c.after.Ports)) > 0 }
	if !slices.ContainsFunc(p.changed, moves) {
		return nil
	}
	bridge := &generation{
		number: p.prev.number, config: p.prev.config, since: p.prev.since, spill: p.prev.spill,
		errors: p.prev.errors, requests: p.prev.requests, access: p.prev.access,
		listeners: p.prev.listeners, admin: p.prev.admin, secure: p.prev.secure,
	}
	for _, file := range []*logFile{bridge.errors, bridge.requests} {
		if file != nil {
			file.hold()
		}
	}
	p.bridge = bridge
	for i, u := range p.prev.config.Upstreams {
		g := p.prev.groups[i]
		c := slices.IndexFunc(p.changed, func(c *change) bool { return c.backend == g.backend && moves(c) })
		if c < 0 {
			g.hold()
			bridge.groups = append(bridge.groups, g)
			continue
		}
		change := p.changed[c]
		change.backend.hold()
		both := slices.Concat(change.before.Ports, missingIn(change.before.Ports, change.after.Ports))
		wide, err := a.newGroup(u, both, change.backend, g)
		if err != nil {
			change.backend.letGo()
			return fmt.Errorf("upstream %s: %w", u.Name, err)
		}
		bridge.groups = append(bridge.groups, wide)
	}
	return a.buildFronts(bridge)
}

// awaitServed waits until no request waits in a group whose processes are about to move: it would wait for ports to which nobody
// comes back, while those that come now wait in the bridge's groups. That takes no longer than the move itself may take for the
// requests that run.
func (p *plan) awaitServed(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.prev.config.ShutdownTimeout))
	defer cancel()
	for p.someWait() {
		select {
		case <-time.After(queueStep):
		case <-ctx.Done():
			return
		}
	}
}

// queueStep is how often awaitServed looks: a queue that is served becomes empty within tenths of a second.
const queueStep = 10 * time.Millisecond

// someWait says whether requests of the generation before wait for processes that move, and will be served where they are.
func (p *plan) someWait() bool {
	serves := func(peer *upstream.Peer) bool { return peer.State() == upstream.Serving }
	return slices.ContainsFunc(p.prev.groups, func(g *group) bool {
		return !slices.Contains(p.bridge.groups, g) && g.peers.Queue().Waiting > 0 && slices.ContainsFunc(g.peers.Peers(), serves)
	})
}

// missingIn returns the ports of more that are not among ports.
func missingIn(ports, more []int) []int {
	return slices.DeleteFunc(slices.Clone(more), func(port int) bool { return slices.Contains(ports, port) })
}
