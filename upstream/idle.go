package upstream

import "time"

// takeIdle begins a lease on the idle connection that was used last and is still open; nil without one. That it has not been idle for
// too long is for sweep to see to.
func (p *Peer) takeIdle(timeouts Timeouts) *Conn {
	if p.group.keepalive == 0 {
		return nil
	}
	for {
		p.idleMu.Lock()
		last := len(p.idle) - 1
		if last < 0 {
			p.idleMu.Unlock()
			return nil
		}
		c := p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
		p.idleMu.Unlock()
		p.group.idle.Add(-1)
		c.begin(timeouts)
		if !timeouts.Once && c.net.Untouched() || !c.Readable() {
			return c
		}
		c.close()
	}
}

// putIdle keeps c from now on for the next request, unless there are enough idle connections, the peer's process has gone or is unhealthy,
// or the group was closed.
func (p *Peer) putIdle(c *Conn, now time.Time) bool {
	g := p.group
	if g.idle.Add(1) > int64(g.keepalive) {
		g.idle.Add(-1)
		return false
	}
	c.idleSince = now
	c.net.Bind(nil) // whoever closes it waits for itself
	p.idleMu.Lock()
	// Asked under the lock: whoever sets these calls CloseIdle afterwards.
	kept := p.State() == Serving && p.Health() == Healthy && !g.closed.Load()
	if kept {
		p.idle = append(p.idle, c)
	}
	p.idleMu.Unlock()
	if !kept {
		g.idle.Add(-1)
		return false
	}
	g.sweepAfter(g.keepaliveTimeout)
	return true
}

// CloseIdle closes the peer's idle connections.
func (p *Peer) CloseIdle() {
	p.idleMu.Lock()
	idle := p.idle
	p.idle = nil
	p.idleMu.Unlock()
	p.drop(idle)
}

// closeExpired closes the connections that were idle for the keepalive timeout at the given time. It returns since when the
// longest idle of the others is, the zero time without one.
func (p *Peer) closeExpired(now time.Time) (oldest time.Time) {
	p.idleMu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) >= p.group.keepaliveTimeout {
		n++
	}
	expired := append([]*Conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle) : len(p.idle)+n])
	if len(p.idle) > 0 {
		oldest = p.idle[0].idleSince
	}
	p.idleMu.Unlock()
	p.drop(expired)
	return oldest
}

func (p *Peer) drop(idle []*Conn) {
	for _, c := range idle {
		p.group.idle.Add(-1)
		c.close()
	}
}

// sweepAfter sees to it that sweep runs, once, when the wait is over. A connection that nobody asks for any more would
// otherwise keep a process busy that serves one connection at a time, and stay half open when that has closed it.
func (g *Group) sweepAfter(wait time.Duration) {
	if !g.sweeping.Load() && g.sweeping.CompareAndSwap(false, true) {
		time.AfterFunc(wait, g.sweep) // not again when nothing is idle
	}
}

// sweep closes what has been idle for too long, as nginx does with its keepalive_timeout.
func (g *Group) sweep() {
	g.sweeping.Store(false)
	now, oldest := time.Now(), time.Time{}
	for _, p := range g.Peers() {
		if since := p.closeExpired(now); !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
			oldest = since
		}
	}
	if !oldest.IsZero() {
		g.sweepAfter(max(oldest.Add(g.keepaliveTimeout).Sub(now), time.Millisecond))
	}
}
