package app

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"spillway/buffering"
	"spillway/configs"
	"spillway/proxy"
	"spillway/proxy/accesslog"
)

// generation holds the objects of one configuration. It is immutable once it serves. What means the same in the next
// configuration is used by both generations: groups and files count their users, and the last one ends them. Listeners and
// the admin listener are of the present generation only; what the next one has not is closed when it takes over.
type generation struct {
	number int // from 1
	config *configs.Config
	since  time.Time

	errors    *logFile
	requests  *logFile          // nil when off
	access    *accesslog.Logger // nil when off
	spill     *buffering.SpillDir
	listeners []*listener // in the order of the configuration
	admin     *admin      // nil when off
	groups    []*group    // one for each upstream, in their order

	fronts map[string]*proxy.Front // by listen address
	secure map[string]*tls.Config  // of those with tls, by listen address
}

// group returns the group of an upstream, nil when there is none.
func (g *generation) group(name string) *group {
	for _, made := range g.groups {
		if made.config.Name == name {
			return made
		}
	}
	return nil
}

// upstream returns what the configuration says of an upstream, nil when it has none of that name.
func (g *generation) upstream(name string) *configs.Upstream {
	if g.config == nil {
		return nil
	}
	for _, u := range g.config.Upstreams {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// hasBackend says whether spillway starts processes.
func (g *generation) hasBackend() bool {
	return slices.ContainsFunc(g.config.Upstreams, func(u *configs.Upstream) bool { return u.Backend != nil })
}

// listener returns the listener of an address, nil when there is none.
func (g *generation) listener(address string) *listener {
	for _, l := range g.listeners {
		if l.address == address {
			return l
		}
	}
	return nil
}

// parts are what the fronts of a generation are built with.
type parts struct {
	observers []func(*proxy.Exchange)
	incidents *proxy.Incidents // nil: off
	arena     *buffering.Arena
	version   string
}

// buildFronts makes handlers, routes and fronts; the groups are there.
func (a *App) buildFronts(g *generation) error {
	p := parts{arena: a.arena, version: a.opts.Version, observers: a.observers()}
	if g.config.Why.Keep > 0 {
		p.incidents = a.incidents
	}
	tables, err := g.newTables(p)
	if err != nil {
		return err
	}
	g.fronts = map[string]*proxy.Front{}
	for address, table := range tables {
		g.fronts[address], err = proxy.New(proxy.Options{
			Routes: table, Log: a.log, Observers: p.observers, Incidents: p.incidents, HideWhy: !g.config.Why.Header,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// serve lets the listeners serve by the generation. What began under a former one ends there, and nothing begins there any
// more.
func (g *generation) serve(former ...*generation) {
	for _, l := range g.listeners {
		front := g.fronts[l.address]
		front.HandOver(nil)
		l.front.Store(front)
		l.secure.Store(g.secure[l.address])
		for _, f := range former {
			if before := f.fronts[l.address]; before != nil {
				before.HandOver(front)
			}
		}
	}
}

// awaitIdle waits until no exchange runs under the generation.
func (g *generation) awaitIdle(ctx context.Context) error {
	for _, f := range g.fronts {
		if err := f.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// release gives up what the generation uses; it returns when what nobody else uses has ended.
func (g *generation) release() {
	g.releaseGroups()
	g.releaseFiles()
}

// releaseGroups gives up the groups, and with them the processes that no other generation has.
func (g *generation) releaseGroups() {
	var ended sync.WaitGroup
	for _, made := range g.groups {
		ended.Go(made.letGo)
	}
	ended.Wait()
}

func (g *generation) releaseFiles() {
	for _, file := range []*logFile{g.requests, g.errors} {
		if file != nil {
			file.letGo()
		}
	}
}
