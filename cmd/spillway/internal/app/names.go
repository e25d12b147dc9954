package app

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"spillway/configs"
	"spillway/upstream/resolve"
)

// Host names among the peers of an upstream: its group has a Follower, which asks for them as long as a generation has the group.

// follow lets a group have the peers that the names of its upstream stand for. What before, the group of the generation before,
// knows of the same names serves until they are answered.
func (a *App) follow(made, before *group, config *configs.Resolver) {
	names := namesOf(made.config)
	if len(names) == 0 {
		return
	}
	opts := resolve.FollowerOptions{
		Group: made.peers, Names: names, Lookup: newResolver(config).Lookup, Log: a.log,
		OnAnswer: func() { a.showPeers(made) },
	}
	if before != nil {
		opts.Before = before.names
	}
	made.names = resolve.Follow(opts)
}

func newResolver(config *configs.Resolver) *resolve.Resolver {
	return resolve.New(resolve.Options{
		Servers: config.Addresses, Valid: time.Duration(config.Valid), Timeout: time.Duration(config.Timeout),
		NoIPv6: !config.IPv6,
	})
}

// namesOf lists the host names among the peers of an upstream.
func namesOf(u *configs.Upstream) (names []resolve.Name) {
	for i := range u.Peers {
		if p := &u.Peers[i]; p.Name != "" {
			names = append(names, nameOf(p))
		}
	}
	return names
}

func nameOf(p *configs.Peer) resolve.Name {
	return resolve.Name{
		Question: resolve.Question{Name: p.Name, Service: p.Service}, Port: p.Port, Once: !p.Resolve, Peer: peerOptions(p),
	}
}

// awaitNames waits until the names of the next generation were asked for once: who swaps before would have nobody to ask. One that
// is not resolved is no error, as nginx would have it: the others serve, and it is asked for again.
func (a *App) awaitNames(ctx context.Context, p *plan) error {
	for _, g := range p.next.groups {
		if g.names == nil {
			continue
		}
		a.progress("upstream %s: resolving names", g.config.Name)
		if err := g.names.First(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sameResolver says whether the names of an upstream are asked of the same servers as before.
func (p *plan) sameResolver(u *configs.Upstream) bool {
	return !u.HasNames() || configs.Equal(p.prev.config.Resolver, p.next.config.Resolver)
}

// showPeers makes the counters of the peers that a group has now, and ends those of the peers that have left it. An exchange that
// ends later makes them anew, and the next answer ends them.
func (a *App) showPeers(g *group) {
	name := g.config.Name
	if a.generation().group(name) != g {
		return // of a generation that does not serve yet, or not any more
	}
	var addresses []string
	for _, p := range slices.Concat(g.peers.Peers(), g.peers.Leaving()) {
		addresses = append(addresses, p.Address())
	}
	a.metrics.Keep(name, addresses...)
}

// CheckNames asks for the host names of peers, and returns a problem for each that is not resolved now. It keeps nobody from a
// start: what DNS answers may be another thing by then.
func CheckNames(ctx context.Context, config *configs.Config) configs.Problems {
	resolver := newResolver(&config.Resolver)
	var mu sync.Mutex // guards problems
	var problems configs.Problems
	var asked sync.WaitGroup
	for _, u := range config.Upstreams {
		for i := range u.Peers {
			p := &u.Peers[i]
			if p.Name == "" {
				continue
			}
			asked.Go(func() { // ends with the timeout of the resolver
				name := nameOf(p)
				err := resolver.Check(ctx, name.Question)
				if err == nil {
					return
				}
				at := p.Places.At("address")
				mu.Lock()
				defer mu.Unlock()
				problems = append(problems, configs.Problem{
					File: at.File, Line: at.Line, Key: at.Key, Message: fmt.Sprintf("host not found in upstream %q: %v", name.String(), err),
				})
			})
		}
	}
	asked.Wait()
	return inOrder(problems)
}
