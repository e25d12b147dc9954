package metrics

import (
	"maps"
	"slices"
)

// Keep is Expect, and ends the counters of all other peers of the upstream.
func (m *Metrics) Keep(name string, peers ...string) {
	m.Expect(name, peers...)
	m.mu.Lock()
	defer m.mu.Unlock()
	u := (*m.upstreams.Load())[name]
	if u == nil {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(*u.peers.Load()), func(p *peer) bool { return !slices.Contains(peers, p.address) })
	u.peers.Store(&kept)
}

// Forget ends what Expect began: with peers the counters of these, without any those of the upstream with all its peers. An
// exchange that ends later makes them anew.
func (m *Metrics) Forget(name string, peers ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.upstreams.Load()
	u := old[name]
	if u == nil || name == "" {
		return
	}
	if len(peers) > 0 {
		left := slices.DeleteFunc(slices.Clone(*u.peers.Load()), func(p *peer) bool { return slices.Contains(peers, p.address) })
		u.peers.Store(&left)
		return
	}
	next := maps.Clone(old)
	delete(next, name)
	m.upstreams.Store(&next)
}
