package app

import (
	"fmt"
	"slices"
	"time"

	"spillway/balancer"
	"spillway/configs"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/health"
	"spillway/upstream/resolve"
	"spillway/upstream/supervisor"
)

// group is an upstream with what its locations share. Generations whose upstream means the same have one group.
type group struct {
	share

	config  *configs.Upstream // of the generation that made it
	ports   []int             // of the peers, in their order; nil without a backend
	peers   *upstream.Group
	picker  balancer.Picker
	pace    *relay.Pace
	poison  *relay.PoisonGuard // nil: off
	checker *health.Checker    // nil: the peers are not probed
	backend *backend           // whose processes the peers are; nil: they are not ours
	names   *resolve.Follower  // of the host names among the peers; nil: there are none
}

// newGroup makes the group of an upstream and, with a backend, joins it, so that the peers get the states of its processes.
// The last generation that uses the group gives the backend up. What is known of the processes, and of the requests that end
// them, it takes over from former, the group of that name in the generation before; nil: there is none.
func (a *App) newGroup(u *configs.Upstream, ports []int, b *backend, former *group) (*group, error) {
	protocol, err := newProtocol(u, configs.Script{}, a.opts.Version)
	if err != nil {
		return nil, err
	}
	secured, err := newTLS(&u.TLS)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	opts := upstream.GroupOptions{
		Name: u.Name, Scheme: scheme(u), Protocol: protocol, TLS: secured,
		Keepalive: u.Keepalive, KeepaliveTimeout: time.Duration(u.KeepaliveTimeout), KeepaliveRequests: u.KeepaliveRequests,
		Concurrency: u.Concurrency, Queue: newQueue(&u.Queue),
		HoldTimeout: time.Duration(u.HoldTimeout), Unsupervised: b == nil,
		Retries: upstream.RetryBudget{Percent: u.RetryBudget.Percent, Min: u.RetryBudget.Min},
		Flights: newFlights(&u.Method),
		Peers:   newPeers(u, ports), Runs: &a.runs,
		Probed: u.Health != nil, Kin: kin(b, former),
	}
	if u.Health != nil && u.Health.Mandatory {
		opts.Initial = upstream.Unhealthy
	}
	g := &group{config: u, ports: ports, backend: b, picker: newPicker(u), pace: &relay.Pace{}}
	if b != nil {
		opts.MaxRequests, opts.MaxRequestsJitter = u.Backend.MaxRequests, u.Backend.MaxRequestsJitter
		opts.OnSpent = func(p *upstream.Peer) { b.supervised.Recycle(ports[p.Index()], supervisor.ReasonMaxRequests) }
		opts.OnWait = b.supervised.Demand
		opts.Lives = func(p *upstream.Peer) bool { return b.supervised.Lives(ports[p.Index()]) }
	}
	if g.peers, err = upstream.NewGroup(opts); err != nil {
		return nil, err
	}
	if guard := u.PoisonGuard; guard.Kills > 0 {
		poison := relay.PoisonOptions{Group: g.peers, Supervised: b != nil, Kills: guard.Kills, Hold: time.Duration(guard.Hold)}
		if former != nil {
			poison.Former = former.poison
		}
		g.poison = relay.NewPoisonGuard(poison)
	}
	if err := a.startChecker(g); err != nil {
		g.peers.Close()
		return nil, err
	}
	g.end = g.close
	if b != nil {
		b.join(g)
	}
	return g, nil
}

// kin are the groups whose peers may be the same processes, the latest first: those of the backend, whatever generation has them,
// or without a backend the one before. Somebody else's process at an address is another one than ours there.
func kin(b *backend, former *group) (groups []*upstream.Group) {
	if b != nil {
		for _, g := range slices.Backward(b.joined()) {
			groups = append(groups, g.peers)
		}
	} else if former != nil && former.backend == nil {
		groups = append(groups, former.peers)
	}
	return groups
}

func newQueue(q *configs.Queue) upstream.Queue {
	made := upstream.Queue{Length: q.Length, Timeout: time.Duration(q.Timeout), PerClient: q.PerClient, Reserve: q.Reserve}
	if made.Reserve == 0 {
		made.Reserve = -1 // off
	}
	return made
}

// newPeers lists the peers of an upstream: those of the configuration, or one for each port of its backend. The latter get
// requests when the supervisor says that a process is ready there.
func newPeers(u *configs.Upstream, ports []int) []upstream.PeerOptions {
	var peers []upstream.PeerOptions
	for i := range u.Peers {
		if p := &u.Peers[i]; p.Name == "" { // the others come with their addresses, see follow
			peers = append(peers, peerOptions(p))
		}
	}
	for _, port := range ports {
		peers = append(peers, upstream.PeerOptions{
			Address: fmt.Sprintf("127.0.0.1:%d", port), MaxFails: u.MaxFails, FailTimeout: time.Duration(u.FailTimeout),
			MaxConns: u.MaxConns, State: upstream.Away, SlowStart: time.Duration(u.SlowStart),
		})
	}
	return peers
}

// peerOptions are those of a peer of the configuration.
func peerOptions(p *configs.Peer) upstream.PeerOptions {
	address := p.Address
	if p.Network == "unix" {
		address = "unix:" + address
	}
	return upstream.PeerOptions{
		Address: address, Name: p.Host, Weight: p.Weight, MaxFails: p.MaxFails, FailTimeout: time.Duration(p.FailTimeout),
		MaxConns: p.MaxConns, Backup: p.Backup, Down: p.Down, Drain: p.Drain, SlowStart: time.Duration(p.SlowStart),
	}
}

// close is for the last user: no exchange asks the peers any more.
func (g *group) close() {
	if g.checker != nil {
		g.checker.Close()
	}
	if g.names != nil {
		g.names.Stop()
	}
	g.peers.Close()
	if g.backend != nil {
		g.backend.leave(g)
		g.backend.letGo()
	}
}

// peer returns the peer with this port, nil when there is none.
func (g *group) peer(port int) *upstream.Peer {
	if i := slices.Index(g.ports, port); i >= 0 {
		return g.peers.Peers()[i]
	}
	return nil
}

// peerAt returns the peer with this address, nil when there is none.
func (g *group) peerAt(address string) *upstream.Peer {
	for _, p := range g.peers.Peers() {
		if p.Address() == address {
			return p
		}
	}
	return nil
}

// onStuck is for an attempt at p that took longer than busy_timeout. From here on nobody else meets the process; what becomes of
// the peer then, the supervisor's events say.
func (g *group) onStuck(p *upstream.Peer, _ time.Duration) {
	port := g.ports[p.Index()]
	g.backend.apply(&supervisor.Event{State: supervisor.Stopping, Port: port, Reason: supervisor.ReasonBusyTimeout})
	g.backend.supervised.Kill(port, supervisor.ReasonBusyTimeout)
}

// sameGroup says whether the group of one upstream can be that of another: everything that a group is made of is the same.
// The backend's processes may differ, their ports may not.
func sameGroup(a, b *configs.Upstream) bool {
	x, y := *a, *b
	x.Backend, y.Backend = nil, nil
	if !configs.Equal(x, y) || (a.Backend == nil) != (b.Backend == nil) {
		return false
	}
	return a.Backend == nil ||
		a.Backend.MaxRequests == b.Backend.MaxRequests && a.Backend.MaxRequestsJitter == b.Backend.MaxRequestsJitter
}

// sameProcesses says whether the processes of one backend can be those of another without a word to their supervisor: what
// differs is the app's own business.
func sameProcesses(a, b *configs.Backend) bool {
	x, y := *a, *b
	for _, c := range []*configs.Backend{&x, &y} {
		c.Ports, c.MaxRequests, c.MaxRequestsJitter, c.BusyTimeout, c.Watch = nil, 0, 0, 0, nil
	}
	return configs.Equal(x, y)
}
