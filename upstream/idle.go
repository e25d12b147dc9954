package upstream

import (
	"slices"
	"time"

	"spillway/upstream/socket"
)

// takeIdle begins a lease on the idle connection that was used last and is still open; nil without one. That it has not been idle for
// too long is for sweep to see to.
func (p *Peer) takeIdle(timeouts Timeouts) *Conn {
	if p.group.keepalive == 0 {
		return nil
	}
	for {
		p.idleMu.Lock()
		if len(p.idle) == 0 {
			p.idleMu.Unlock()
			return nil
		}
		c, near := p.takeNear(timeouts.Task)
		p.idleMu.Unlock()
		p.group.idle.Add(-1)
		c.begin(timeouts)
		// The loop of one that has moved has not been told yet what has come.
		if near && !timeouts.Once && c.net.Untouched() || !c.Readable() {
			return c
		}
		c.close()
	}
}

// takeNear takes the connection off the idle ones, of which there are some, that was used last by a task of the same loop, or else the last
// one: each loop comes to have its own. The caller holds idleMu.
func (p *Peer) takeNear(t *socket.Task) (c *Conn, near bool) {
	last := len(p.idle) - 1
	at := last
	for i := last; i > max(-1, last-maxLooks) && !near; i-- {
		if near = p.idle[i].net.Near(t); near {
			at = i
		}
	}
	c = p.idle[at]
	p.idle = slices.Delete(p.idle, at, at+1)
	return c, near
}

// maxLooks is how many idle connections are looked at for a near one.
const maxLooks = 16

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
