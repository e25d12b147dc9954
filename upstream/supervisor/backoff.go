package supervisor

import (
	"math/rand/v2"
	"time"
)

// backoff spaces the launches of one process: each wait is twice the one before, until the process has held out.
type backoff struct {
	min, max time.Duration
	wait     time.Duration // without jitter; 0 before the first
}

// jitter is the part of a wait by which it is made longer or shorter, so that eight processes that died of one cause do
// not come back in step.
const jitter = 0.2

// next returns how long to wait before the next launch, after a run that had been ready for a while; 0 for one that never
// was.
func (b *backoff) next(ready time.Duration) time.Duration {
	if ready >= b.max {
		b.wait = 0
	}
	if b.wait == 0 {
		b.wait = b.min
	} else {
		b.wait = min(2*b.wait, b.max)
	}
	return time.Duration(float64(b.wait) * (1 - jitter + 2*jitter*rand.Float64()))
}
