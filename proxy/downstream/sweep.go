package downstream

import "time"

// sweepEvery is the resolution of all timeouts, and watchAfter how long a request may be served before its client is
// watched: most are over sooner.
const (
	sweepEvery = 250 * time.Millisecond
	watchAfter = 250 * time.Millisecond
)

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

// sweep looks at all connections at every tick. It ends when the last connection of a listener that is shut down is gone.
func (l *Listener) sweep() {
	every := l.limits.Load().resolution()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-l.empty:
			return
		case <-ticker.C:
			l.check()
			if now := l.limits.Load().resolution(); now != every {
				every = now
				ticker.Reset(every)
			}
		}
	}
}

// resolution is how often to look, so that no timeout is late by more than a quarter of it.
func (o *Limits) resolution() time.Duration {
	shortest := min(o.HeaderTimeout, o.BodyTimeout, o.SendTimeout, o.KeepaliveTimeout)
	return max(min(sweepEvery, shortest/4), time.Millisecond)
}

func (l *Listener) check() {
	now := l.now()
	l.clock.Store(now)
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns.all() {
		c.check(now)
	}
}

// check ends what has lasted too long.
func (c *conn) check(now int64) {
	p := phase(c.phase.Load())
	due := c.readDue.Load()
	if due != 0 && (now >= due || c.isQuiet(now)) {
		_ = c.SetReadDeadline(past)
	}
	if due := c.writeDue.Load(); due != 0 && now >= due {
		_ = c.SetWriteDeadline(past)
	}
	if p == serving && c.silent.Load() && now-c.since.Load() >= int64(c.l.watchAfter) && c.MayHaveEnded() {
		c.watch()
	}
}

// now is the time since the listener was made, in nanoseconds; Listener.clock has the same at the last tick.
func (l *Listener) now() int64 { return int64(time.Since(l.start)) }
