package upstream

import "time"

// Health is what probes say of a peer. The verdict is soft: it keeps a peer out of the choice only as long as another one is
// left, see PassedOver. A process that takes the place of another one begins as Healthy.
type Health uint8

// The verdicts.
const (
	Healthy   Health = iota // or not probed
	Unhealthy               // too many probes have failed in a row
)

// Health returns the verdict of the probes.
func (p *Peer) Health() Health { return Health(p.health.Load()) }

// SetHealth sets the verdict on the peer's run-th process (Runs, asked before the probe); of one that was replaced meanwhile it
// says nothing. It returns whether the verdict is another one than before. An Unhealthy peer has no idle connections.
func (p *Peer) SetHealth(run uint64, health Health) (changed bool) {
	p.mu.Lock()
	changed = p.runs.Load() == run && p.Health() != health
	if changed {
		p.health.Store(uint32(health))
		if health == Healthy {
			p.startSlowly(time.Now())
		}
	}
	p.mu.Unlock()
	if changed && health == Unhealthy {
		p.CloseIdle()
	}
	return changed
}

// PassedOver says whether what was seen of the peer keeps it out of the choice: failures of requests (Disabled), or of probes.
// When no peer is left that both speak for, the probes are not heeded: a page of health that fails everywhere says more about
// the page, or a database behind it, than about the peers. Nor are failures that would leave nobody: a peer that failed some
// seconds ago may answer now, and one that nobody asks certainly does not. nginx waits for fail_timeout there.
func (p *Peer) PassedOver(now time.Time) bool {
	disabled := p.Disabled(now)
	if !disabled && p.Health() == Healthy {
		return false
	}
	return p.group.HasSound(now) || disabled && !p.group.Panics(now)
}

// spotless says that nothing was seen of the peer lately that could keep it out, as of most peers nearly always: the short way to
// what PassedOver says.
func (p *Peer) spotless() bool { return p.fails.Load() == 0 && p.Health() == Healthy }

// Panics says that failures alone have emptied the group: some peer serves, and all that do are disabled. Then all of them are
// asked as if they were not. A peer that is only full is no reason to: it has a slot again soon. A drained one does not count,
// since it is there for few.
func (g *Group) Panics(now time.Time) bool {
	serving := false
	for _, p := range g.Peers() {
		if p.down || p.drain || p.State() != Serving {
			continue
		}
		if !p.Disabled(now) {
			return false
		}
		serving = true
	}
	return serving
}

// HasSound says whether a peer of the group serves that neither failures nor probes speak against. It remembers the one that it
// found, since it is asked for each peer of which that cannot be said (BenchmarkUsable).
func (g *Group) HasSound(now time.Time) bool {
	if p := g.sound.Load(); p != nil && p.isSound(now) {
		return true
	}
	for _, p := range g.Peers() {
		if p.isSound(now) {
			g.sound.Store(p)
			return true
		}
	}
	return false
}

func (p *Peer) isSound(now time.Time) bool {
	return !p.down && !p.drain && p.State() == Serving && p.Health() == Healthy && !p.Disabled(now)
}

// BeginProbe makes room for a probe, which is no request and is not counted as one; end must follow when ok. It is not when the
// peer does not serve or has no free slot: a process that is busy would let the probe wait, which says nothing about its health.
// The probe holds a slot, so that no request is sent to wait behind it, unless there is no queue for those that find none free.
// Then requests may have taken all slots meanwhile, and let the probe wait: end says so.
func (p *Peer) BeginProbe() (end func() (crowded bool), ok bool) {
	if p.limit != noLimit && p.group.queue.length == 0 {
		return p.full, !p.full()
	}
	if !p.occupy() {
		return nil, false
	}
	p.probes.Add(1)
	return p.endProbe, true
}

func (p *Peer) endProbe() (crowded bool) {
	p.probes.Add(-1)
	p.Free()
	return false
}

// full says whether all slots are in use, or the peer does not serve.
func (p *Peer) full() bool { return p.slots.Load() >= p.limit || p.gone.Load() }
