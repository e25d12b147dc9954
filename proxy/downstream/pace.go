package downstream

import (
	"errors"
	"math"
	"sync/atomic"
	"time"
)

// pace holds a response to nginx's limit_rate: the goroutine that writes it waits, and nobody else. The wait is cut into
// pieces, so that the end of the client or of the listener ends it soon.
type pace struct {
	rate  int64         // bytes per second; 0 is no limit
	after int64         // bytes that do not count
	spent int64         // bytes so far
	begun time.Duration // on the listener's clock, with the first byte

	timer  *time.Timer // nil before the first wait
	paused atomic.Bool // the goroutine waits: the client takes no more at the moment
}

const (
	// paceEvery is how often a client gets its next piece: often enough that a download looks even.
	paceEvery = 100 * time.Millisecond

	// maxPause is how long one piece of a wait is, at a rate of a few bytes per second.
	maxPause = 250 * time.Millisecond
)

// errLeft ends a response whose client leaves while it has to wait for its next piece.
var errLeft = errors.New("client left")

// reset prepares for a response.
func (p *pace) reset(rate, after int64) { p.rate, p.after, p.spent, p.begun = rate, after, 0, -1 }

// next returns how many of n bytes may be sent now, or how long to wait for the next piece.
func (p *pace) next(now time.Duration, n int) (may int, wait time.Duration) {
	if p.begun < 0 {
		p.begun = now
	}
	piece := max(1, int64(float64(p.rate)*paceEvery.Seconds()))
	earned := min(float64(p.rate)*(now-p.begun).Seconds(), math.MaxInt64/4)
	allowed := p.after + int64(earned) + piece - p.spent
	if short := min(piece, int64(n)) - allowed; short > 0 {
		return 0, time.Duration(math.Ceil(float64(short) / float64(p.rate) * float64(time.Second)))
	}
	may = int(min(int64(n), allowed))
	p.spent += int64(may)
	return may, 0
}

// pause waits for so long, or for maxPause.
func (p *pace) pause(wait time.Duration) {
	wait = min(wait, maxPause)
	if p.timer == nil {
		p.timer = time.NewTimer(wait)
	} else {
		p.timer.Reset(wait)
	}
	p.paused.Store(true)
	<-p.timer.C
	p.paused.Store(false)
}

// writePaced sends a piece of the body as fast as the response's rate allows.
func (s *sender) writePaced(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		may, wait := s.pace.next(time.Duration(s.c.l.now()), len(p)-sent)
		if wait > 0 {
			if s.c.ex.Gone() {
				return sent, errLeft
			}
			s.wait()
			s.c.task.Leave()
			s.pace.pause(wait)
			continue
		}
		n, err := s.write(p[sent : sent+may])
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}
