package relay

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// A request that ends each process that it is sent to must not be sent to all of them, neither by retries nor by a visitor who
// presses reload. The guard of a group finds out which requests those are:
//
//  1. Suspect notes a request that was at a process when its connection ended without a byte of an answer.
//  2. A moment later the guard looks what became of the process. If it has ended, the request has a part in that: one by the
//     number of requests that were there, and all of it if the process was killed because the request hung. It has none when
//     processes end that it was not at, for then something else ends them, nor when its attempt began before the last end that
//     counts against it: that was the same event.
//  3. A request whose parts amount to Kills is Held: like all that look the same, it is refused for a while. After that one of
//     them may try again, and one more end holds them at once.
//  4. Absolve forgets a request that was answered.

const (
	// moment is how long the guard waits for the news of an end, and for those of others that end together with it: a supervisor
	// hears of them within milliseconds, and a retry can wait as long.
	moment = 250 * time.Millisecond

	// together is how far apart ends are that may have one cause: somebody who ends all processes takes no longer.
	together = time.Second

	suspectsForget = 5 * time.Minute // after its last part in an end a request is no longer suspected
	maxSuspects    = 256             // requests that are remembered; the one with the oldest end makes room
	keptRuns       = 4               // of the processes that a request has ended
	probePatience  = 3 * time.Second // a refusal takes 2 s on Windows
)

// PoisonOptions are the settings of a PoisonGuard.
type PoisonOptions struct {
	Group      *upstream.Group // required
	Supervised bool            // the states of the peers are those of processes; else they are asked by connecting to them
	Kills      int             // ends of processes that a request must have part in; 0 is 2
	Hold       time.Duration   // how long it is refused then; 0 is a minute

	// Former is the guard of a group whose place Group takes: what one of the two finds out, both know. nil: there is none.
	Former *PoisonGuard
}

// PoisonGuard refuses the requests that end processes. There is one per group, shared by its locations.
type PoisonGuard struct {
	opts PoisonOptions
	*memory
}

// memory is what guards find out. It outlives the settings of one, and is shared with the guard of the next ones.
type memory struct {
	seed    maphash.Seed
	known   atomic.Int64  // requests in suspects: while it is 0, nobody has to look
	refused atomic.Uint64 // requests, since the start

	mu       sync.Mutex // guards all below
	suspects map[uint64]*suspect
	ends     []*end // the last ones, oldest first
	tidied   time.Time
}

// suspect is a request, and all that look the same: method, host, path and the names of its parameters.
type suspect struct {
	method, host, path string

	parts   float64   // in ends of processes
	kills   int       // the ends themselves
	began   time.Time // the attempt that last had a part in one
	last    time.Time // that end
	until   time.Time // it is refused until then
	refused int
	runs    []uint64 // the processes, the last keptRuns of them
	hung    bool     // the last one did not end by itself: it hung, and was killed
	pending int      // verdicts that are not there yet
}

// end is what looks like the end of a process.
type end struct {
	visit

	at     time.Time
	most   int      // requests that were there at once
	shapes []uint64 // of those that may have caused it
	killed bool     // because of one of them, which is known: the others are innocent
}

// NewPoisonGuard returns a guard that suspects whom the former one does; without one, nobody.
func NewPoisonGuard(opts PoisonOptions) *PoisonGuard {
	if opts.Kills == 0 {
		opts.Kills = 2
	}
	if opts.Hold == 0 {
		opts.Hold = time.Minute
	}
	g := &PoisonGuard{opts: opts}
	if former := opts.Former; former != nil {
		g.memory, g.opts.Former = former.memory, nil // or with it its group would be kept
	} else {
		g.memory = &memory{seed: maphash.MakeSeed(), suspects: map[uint64]*suspect{}}
	}
	return g
}

// shapeOf returns the fingerprint of a request. The order of its parameters is no part of it.
func (g *PoisonGuard) shapeOf(ex *proxy.Exchange) uint64 {
	sum := maphash.Bytes(g.seed, ex.Method)*3 + maphash.Bytes(g.seed, ex.Host)*5 + maphash.Bytes(g.seed, ex.Path)*7
	rest := ex.Query
	for len(rest) > 0 {
		pair := rest
		if i := slices.Index(rest, '&'); i >= 0 {
			pair, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if i := slices.Index(pair, '='); i >= 0 {
			pair = pair[:i]
		}
		sum += maphash.Bytes(g.seed, pair) * 11
	}
	return sum
}

// held says whether a request is to be refused, for how long, and how it came to that.
func (g *PoisonGuard) held(ex *proxy.Exchange, now time.Time) (v verdict, held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.tidied) > time.Minute { // or requests would be looked up for as long as nobody else is suspected
		g.tidied = now
		g.makeRoom(now)
	}
	s := g.suspects[g.shapeOf(ex)]
	switch {
	case s == nil || s.until.IsZero():
		return v, false
	case now.After(s.until):
		s.until, s.parts = time.Time{}, float64(g.opts.Kills)-1
		return v, false
	}
	s.refused++
	g.refused.Add(1)
	return verdict{kills: s.kills, hung: s.hung, left: s.until.Sub(now), runs: slices.Clone(s.runs)}, true
}

// verdict is why a request is refused.
type verdict struct {
	kills int
	hung  bool
	left  time.Duration
	runs  []uint64 // the processes that have ended
}

// absolve forgets a request that was answered.
func (g *PoisonGuard) absolve(ex *proxy.Exchange) {
	if g.known.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := g.suspects[g.shapeOf(ex)]; s != nil && s.pending == 0 {
		g.forget(g.shapeOf(ex))
	}
}

// forget drops what is known of a request; the caller holds the lock, as for all below that do not take it.
func (g *PoisonGuard) forget(shape uint64) {
	delete(g.suspects, shape)
	g.known.Store(int64(len(g.suspects)))
}

// of returns what is known of a request, or begins with nothing.
func (g *PoisonGuard) of(ex *proxy.Exchange, shape uint64, now time.Time) *suspect {
	s := g.suspects[shape]
	if s == nil {
		g.makeRoom(now)
		s = &suspect{method: string(ex.Method), host: short(ex.Host), path: short(ex.Path)}
		g.suspects[shape] = s
		g.known.Store(int64(len(g.suspects)))
	}
	return s
}

// short returns a text of bounded length, for the list of suspects.
func short(text []byte) string {
	return strings.ToValidUTF8(string(text[:min(len(text), 200)]), "\ufffd")
}

// makeRoom drops the requests that are suspected no longer, and the oldest one when there are too many.
func (g *PoisonGuard) makeRoom(now time.Time) {
	oldest := uint64(0)
	for shape, s := range g.suspects {
		switch {
		case s.pending > 0:
		case now.Sub(s.last) > suspectsForget && now.After(s.until):
			g.forget(shape)
		case g.suspects[oldest] == nil || s.last.Before(g.suspects[oldest].last):
			oldest = shape
		}
	}
	if len(g.suspects) >= maxSuspects {
		g.forget(oldest)
	}
}

// endOf returns the record of an end, after those that are too old were dropped.
func (g *PoisonGuard) endOf(v visit, now time.Time) *end {
	g.ends = slices.DeleteFunc(g.ends, func(e *end) bool { return now.Sub(e.at) > 10*together })
	for _, e := range g.ends {
		if e.is(v) {
			return e
		}
	}
	e := &end{visit: v, at: now}
	g.ends = append(g.ends, e)
	return e
}

// suspicion is a request whose connection ended without an answer.
type suspicion struct {
	shape   uint64
	suspect *suspect
	end     *end
	trail   *trail
	began   time.Time
	failing []*upstream.Peer // out of use before, of those that nobody supervises: that they refuse is no news
	judged  chan struct{}    // closed when the verdict is there
}

// trail are the suspicions of one exchange; it grows under the lock of the guard.
type trail []*suspicion

// has says whether the exchange was at a process that seemed to end.
func (t *trail) has(v visit) bool {
	return slices.ContainsFunc(*t, func(s *suspicion) bool { return s.end.is(v) })
}

// suspect notes that the request of ex, whose attempt began then, was at a process when its connection ended; the slot is held
// still. The verdict comes a moment later, by a timer.
func (g *PoisonGuard) suspect(ex *proxy.Exchange, t *trail, at visit, began time.Time) {
	now, inflight, shape := time.Now(), int(at.peer.Busy()), g.shapeOf(ex)
	s := &suspicion{shape: shape, trail: t, began: began, judged: make(chan struct{})}
	for _, p := range g.opts.Group.Peers() {
		if !g.opts.Supervised && p.Disabled(now) {
			s.failing = append(s.failing, p)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s.suspect, s.end = g.of(ex, shape, now), g.endOf(at, now)
	*t = append(*t, s)
	s.suspect.pending++
	s.end.most = max(s.end.most, inflight)
	if !slices.Contains(s.end.shapes, shape) { // a peer that drops each request has the same ones again and again
		s.end.shapes = append(s.end.shapes, shape)
	}
	time.AfterFunc(moment, func() { g.judge(s) })
}

// judge counts an end against a request that has a part in it.
func (g *PoisonGuard) judge(s *suspicion) {
	defer close(s.judged)
	ended := g.ended(s.end.visit) && !g.hasOtherCause(s)
	g.mu.Lock()
	defer g.mu.Unlock()
	s.suspect.pending--
	if ended && !s.end.killed {
		g.blame(s.suspect, s.end, s.began)
	}
	if s.suspect.kills == 0 && s.suspect.pending == 0 && g.suspects[s.shape] == s.suspect {
		g.forget(s.shape)
	}
}

// ended says whether a process has ended. One whose peer was taken out of the group may have, but somebody meant it to.
func (g *PoisonGuard) ended(v visit) bool {
	if v.peer.State() == upstream.Gone {
		return false
	}
	if v.peer.Runs() != v.run || v.peer.State() != upstream.Serving {
		return true
	}
	return !g.opts.Supervised && v.peer.Refuses(probePatience)
}

// hasOtherCause says whether processes have ended at the same time that the exchange was not at. If requests that look the same
// were at all of those, and at least half of the processes live, that is no other cause: a visitor has asked twice.
func (g *PoisonGuard) hasOtherCause(s *suspicion) bool {
	peers := g.opts.Group.Peers()
	var ends []visit
	for _, p := range peers {
		if slices.Contains(s.failing, p) {
			continue // and is not asked: one that drops what it gets takes its time
		}
		if v, ended := g.lately(p, s.end.at.Add(-together)); ended {
			ends = append(ends, v)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	others := slices.DeleteFunc(slices.Clone(ends), s.trail.has)
	if len(others) == 0 || 2*len(ends) > len(peers) {
		return len(others) > 0
	}
	sameAt := func(v visit) bool {
		return slices.ContainsFunc(g.ends, func(e *end) bool { return e.is(v) && slices.Contains(e.shapes, s.shape) })
	}
	return slices.ContainsFunc(others, func(v visit) bool { return !sameAt(v) })
}

// lately returns the process of a peer that has ended since, if one has.
func (g *PoisonGuard) lately(p *upstream.Peer, since time.Time) (visit, bool) {
	if !g.opts.Supervised {
		return visit{p, p.Runs()}, !p.Down() && p.Refuses(probePatience)
	}
	run, at := p.LastEnd()
	return visit{p, run}, at.After(since)
}

// blame counts an end against a request whose attempt began then.
func (g *PoisonGuard) blame(s *suspect, e *end, began time.Time) {
	if s.kills > 0 && began.Before(s.last) && s.began.Before(e.at) {
		return // both were there at once: the same event
	}
	if e.at.Sub(s.last) > suspectsForget {
		s.parts, s.kills, s.runs = 0, 0, nil
	}
	if e.killed {
		s.parts++
	} else {
		s.parts += 1 / float64(max(e.most, 1))
	}
	s.kills++
	s.runs = append(s.runs[max(0, len(s.runs)+1-keptRuns):], e.run)
	s.began, s.last, s.hung = began, e.at, e.killed
	if s.parts >= float64(g.opts.Kills)-0.001 { // thirds do not add up to one
		s.until = e.at.Add(g.opts.Hold)
	}
}

// hung notes that a process is killed because of the request of ex, which hangs there.
func (g *PoisonGuard) hung(ex *proxy.Exchange, at visit, began time.Time) {
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.endOf(at, now)
	e.killed = true
	g.blame(g.of(ex, g.shapeOf(ex), now), e, began)
}

// Suspect is a request that has ended processes, and all that look the same.
type Suspect struct {
	Method, Host, Path string
	Kills              int       // ends of processes
	Last               time.Time // the last of those
	Until              time.Time // it is refused until then; zero: it is not
	Refused            int
}

// Suspects returns the requests that have ended processes, the latest first; a nil guard has none.
func (g *PoisonGuard) Suspects(now time.Time) []Suspect {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []Suspect
	for _, s := range g.suspects {
		if s.kills == 0 || now.Sub(s.last) > suspectsForget && now.After(s.until) {
			continue
		}
		shown := Suspect{Method: s.method, Host: s.host, Path: s.path, Kills: s.kills, Last: s.last, Refused: s.refused}
		if now.Before(s.until) {
			shown.Until = s.until
		}
		all = append(all, shown)
	}
	slices.SortFunc(all, func(a, b Suspect) int { return b.Last.Compare(a.Last) })
	return all
}

// Refused returns how many requests were refused since the start; by a nil guard none.
func (g *PoisonGuard) Refused() uint64 {
	if g == nil {
		return 0
	}
	return g.refused.Load()
}
