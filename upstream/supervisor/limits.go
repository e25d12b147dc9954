package supervisor

import (
	"math/rand/v2"
	"time"
)

const (
	// ageJitter is the part of MaxAge by which a process may get older or not so old, so that eight processes that were started
	// together are not replaced one behind the other for ever.
	ageJitter = 0.1
	// A process that leaks does so over minutes, and a look at its memory costs a look at all processes of the machine.
	memoryPoll = 5 * time.Second
)

// keepLimits begins to look at memory and at the number of processes, if the options ask for it and it was not begun before.
func (b *Backend) keepLimits() {
	if b.opts.MaxMemory > 0 && !b.measuring {
		b.measuring = true
		b.measure()
	}
	if b.opts.Processes.dynamic() && !b.scaling {
		b.scaling = true
		b.scale()
	}
}

// limitAge has a run that is ready replaced when it is too old.
func (b *Backend) limitAge(r *run) {
	stopTimer(r.age)
	if r.opts.MaxAge == 0 {
		return
	}
	age := time.Duration(float64(r.opts.MaxAge) * (1 - ageJitter + 2*ageJitter*rand.Float64()))
	r.age = time.AfterFunc(age-time.Since(r.started), func() {
		b.do(func() {
			if r.place.run == r {
				b.recycle(r.place, ReasonMaxAge)
			}
		})
	})
}

// measure has a helper measure the runs that are ready, one after the other, and comes back after a while.
func (b *Backend) measure() {
	if b.stopping || b.opts.MaxMemory == 0 {
		b.measuring = false
		return
	}
	var runs []*run
	for _, pl := range b.places {
		if r := pl.run; r != nil && !r.readySince.IsZero() && r.reason == "" {
			runs = append(runs, r)
		}
	}
	b.helpers.Go(func() { // each look takes milliseconds
		for _, r := range runs {
			r.look(func(t *tree) {
				bytes, err := t.memory()
				b.do(func() { b.measured(r, bytes, err) })
			})
		}
		time.AfterFunc(memoryPoll, func() { b.do(b.measure) })
	})
}

// measured hears what the tree of a run weighs.
func (b *Backend) measured(r *run, bytes int64, err error) {
	if r.place.run != r || r.reason != "" {
		return
	}
	if err != nil {
		r.log.Debug("process not measured", "err", err)
		return
	}
	b.mu.Lock()
	r.place.state.Memory = bytes
	b.mu.Unlock()
	if limit := r.opts.MaxMemory; limit > 0 && bytes > limit && b.recycle(r.place, ReasonMaxMemory) {
		r.log.Warn("process too large", "bytes", bytes, "limit", limit)
	}
}
