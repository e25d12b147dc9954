package app

import (
	"fmt"
	"time"

	"spillway/balancer"
	"spillway/configs"
	"spillway/proxy"
	"spillway/upstream"
)

// generation holds the objects of one configuration.
type generation struct {
	config *configs.Config
	groups []*group                // in the order of the configuration
	fronts map[string]*proxy.Front // by listen address
}

// group is an upstream with what its locations share.
type group struct {
	config *configs.Upstream
	peers  *upstream.Group
	picker balancer.Picker
}

// newGeneration builds the objects of config. ports has the ports of each backend's processes, by the upstream's name.
func newGeneration(config *configs.Config, ports map[string][]int, parts parts) (*generation, error) {
	g := &generation{config: config, fronts: map[string]*proxy.Front{}}
	for _, u := range config.Upstreams {
		made, err := newGroup(u, ports[u.Name], parts.version)
		if err != nil {
			return nil, fmt.Errorf("upstream %s: %w", u.Name, err)
		}
		g.groups = append(g.groups, made)
	}
	tables, err := g.newTables(parts)
	if err != nil {
		return nil, err
	}
	for address, table := range tables {
		g.fronts[address], err = proxy.New(proxy.Options{Routes: table, Log: parts.log, Observers: parts.observers})
		if err != nil {
			return nil, err
		}
	}
	return g, nil
}

// group returns the group of an upstream; configs has checked that there is one.
func (g *generation) group(name string) *group {
	for _, made := range g.groups {
		if made.config.Name == name {
			return made
		}
	}
	return nil
}

// newGroup makes the group of an upstream. The peers of a backend are its processes, by number; they get requests when
// the supervisor says that they are ready.
func newGroup(u *configs.Upstream, ports []int, version string) (*group, error) {
	protocol, err := newProtocol(u, configs.Script{}, version)
	if err != nil {
		return nil, err
	}
	opts := upstream.GroupOptions{
		Name: u.Name, Scheme: string(u.Protocol), Protocol: protocol,
		Keepalive: u.Keepalive, KeepaliveTimeout: time.Duration(u.KeepaliveTimeout), KeepaliveRequests: u.KeepaliveRequests,
	}
	for _, p := range u.Peers {
		address := p.Address
		if p.Network == "unix" {
			address = "unix:" + address
		}
		opts.Peers = append(opts.Peers, upstream.PeerOptions{
			Address: address, Weight: p.Weight, MaxFails: p.MaxFails, FailTimeout: time.Duration(p.FailTimeout),
			MaxConns: p.MaxConns, Backup: p.Backup, Down: p.Down,
		})
	}
	for _, port := range ports {
		opts.Peers = append(opts.Peers, upstream.PeerOptions{
			Address: fmt.Sprintf("127.0.0.1:%d", port), MaxFails: u.MaxFails, FailTimeout: time.Duration(u.FailTimeout),
			MaxConns: u.MaxConns, State: upstream.Coming,
		})
	}
	peers, err := upstream.NewGroup(opts)
	if err != nil {
		return nil, err
	}
	return &group{config: u, peers: peers, picker: balancer.NewRoundRobin()}, nil
}
