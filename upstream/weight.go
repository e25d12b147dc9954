package upstream

import "time"

// WeightUnit is what Share and EffectiveWeight make of a weight of 1: slow_start needs steps below it.
const WeightUnit = 1 << 10

// Share returns the configured weight in WeightUnits: the peer's share of the requests. During slow_start, which begins when
// a new process serves, and when neither failures nor probes keep the peer out any more, it grows from nothing to that.
func (p *Peer) Share(now time.Time) int64 { return p.grown(int64(p.weight), now) }

// EffectiveWeight returns the share for one turn of smooth weighted round robin, and lets a weight that failures lowered
// recover by one, as nginx does at each turn.
func (p *Peer) EffectiveWeight(now time.Time) int64 {
	effective := p.effective.Load()
	if effective < int64(p.weight) {
		p.effective.CompareAndSwap(effective, effective+1)
	}
	return p.grown(effective, now)
}

// startSlowly begins slow_start, which nginx ignores where there is only one peer.
func (p *Peer) startSlowly(now time.Time) {
	if p.slowStart > 0 && !p.group.single() {
		p.slowSince.Store(now.UnixNano())
	}
}

// startAllSlowly begins slow_start in all groups that share the process.
func (p *Peer) startAllSlowly(now time.Time) {
	for _, sharer := range *p.sharers.Load() {
		sharer.startSlowly(now)
	}
}

// grown returns what slow_start leaves of a weight, in WeightUnits; a weight that is not 0 does not become so.
func (p *Peer) grown(weight int64, now time.Time) int64 {
	if p.slowSince.Load() == 0 {
		return weight * WeightUnit
	}
	return p.growing(weight, now)
}

func (p *Peer) growing(weight int64, now time.Time) int64 {
	full, since := weight*WeightUnit, p.slowSince.Load()
	passed := now.UnixNano() - since
	if passed >= int64(p.slowStart) {
		p.slowSince.CompareAndSwap(since, 0)
		return full
	}
	part := float64(passed) / float64(p.slowStart)
	return max(int64(float64(full)*part), min(full, 1))
}
