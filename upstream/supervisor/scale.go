package supervisor

import (
	"slices"
	"time"
)

// The number of processes follows the load:
//
//  1. At the start Count.Min run.
//  2. Demand starts one more when a request waits; scale does, every second, when too few are idle.
//  3. scale stops one that was idle for Count.Idle when too many are.

// scalePoll is how often the load is looked at; php-fpm does it as often.
const scalePoll = time.Second

// Demand says that a request waits because all processes are busy: one more is started, up to Count.Max. As many start at the
// same time as are ready already, at least one, so that a burst doubles them and no more. It does not block.
func (b *Backend) Demand() {
	if b.demanded.Swap(true) {
		return // it is in the inbox
	}
	b.do(func() {
		b.demanded.Store(false)
		if !b.stopping {
			b.grow(1, b.load(time.Now()))
		}
	})
}

// load is what the processes of a backend do, those aside that are being given up.
type load struct {
	all      int
	ready    int
	starting int // or to be restarted
	idle     int // ready and without a request
	rested   int // idle for Count.Idle
}

// load looks at all processes.
func (b *Backend) load(now time.Time) load {
	var l load
	for _, p := range b.processes {
		if p.leaving {
			continue
		}
		l.all++
		switch r := p.place.run; {
		case p.place.state.State == Failed:
		case r == nil || r.readySince.IsZero():
			l.starting++
		case r.reason != "": // its successor starts soon
		case b.opts.Busy(p.place.port) > 0:
			l.ready++
			r.idleSince = time.Time{}
		default:
			l.ready++
			l.idle++
			if r.idleSince.IsZero() {
				r.idleSince = now
			}
			if b.rested(r, now) {
				l.rested++
			}
		}
	}
	return l
}

func (b *Backend) rested(r *run, now time.Time) bool {
	return !r.idleSince.IsZero() && now.Sub(r.idleSince) >= b.opts.Processes.Idle
}

// scale makes the number of processes follow the load, and comes back.
func (b *Backend) scale() {
	if b.stopping || !b.opts.Processes.dynamic() {
		b.scaling = false
		return
	}
	time.AfterFunc(scalePoll, func() { b.do(b.scale) })
	now := time.Now()
	l := b.load(now)
	switch n := b.opts.Processes.change(l); {
	case n > 0:
		b.grow(n, l)
	case n < 0:
		b.shrink(now)
	}
}

// change says how many processes are missing, or -1 when one is not needed.
func (c Count) change(l load) int {
	switch {
	case l.all < c.Max && l.idle+l.starting < c.SpareMin:
		return c.SpareMin - l.idle - l.starting
	case l.all > c.Min && l.idle > c.SpareMax && l.rested > 0:
		return -1
	default:
		return 0
	}
}

// room says how many of n processes may be started at once.
func (c Count) room(n int, l load) int { return min(n, c.Max-l.all, max(1, l.ready)-l.starting) }

// grow starts n processes, or as many as there is room for. During an Update that would be processes with the old options.
func (b *Backend) grow(n int, l load) {
	if b.updating {
		return
	}
	for range b.opts.Processes.room(n, l) {
		free := b.spares()
		if len(free) == 0 {
			return // one that leaves still has its port
		}
		b.add(free[0])
	}
}

// add starts one more process.
func (b *Backend) add(pl *place) {
	p := b.newProcess()
	p.place, pl.process = pl, p
	b.relaunch(p)
}

// shrink gives up one process that has rested, of those the one with the highest number.
func (b *Backend) shrink(now time.Time) {
	for _, p := range slices.Backward(b.processes) {
		if r := p.place.run; !p.leaving && r != nil && r.reason == "" && b.rested(r, now) && b.replacementOf(p) == nil {
			b.retire(p, ReasonIdle)
			return
		}
	}
}

// retire gives a process up: what runs of it leaves, and nothing follows.
func (b *Backend) retire(p *process, reason Reason) {
	if p.leaving {
		return
	}
	p.leaving = true
	stopTimer(p.timer)
	if rep := b.replacementOf(p); rep != nil && rep.to != nil && rep.to != p.place {
		b.end(rep.to.run, reason)
	}
	if r := p.place.run; r != nil {
		b.leave(r, reason) // gone forgets it
		return
	}
	b.forget(p)
	b.free(p.place)
}
