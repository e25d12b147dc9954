package upstream

import (
	"errors"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A request that gets no slot may wait: queued for a slot when all are in use, or held for a process that is Coming.
//
//  1. Join puts its Waiter into the queue, in the order of lane.go, and tries once more for a slot: one that was freed
//     before is seen here, one that is freed later sees the Waiter.
//  2. Whatever makes a slot (Free, SetState) gives it to the first Waiter that can use it, with the queue locked, so that no
//     newcomer overtakes: a newcomer joins the queue as long as somebody waits (Crowded).
//  3. While somebody waits, the queue has a beat. It ends the waits that have lasted too long or have become hopeless, and
//     finds the slots that nobody announces: those of a peer whose fail_timeout is over.
//  4. Await returns the peer, or why there is none. Leave drops the request at once when its client has gone.
//
// A process that becomes ready and has no limit of slots is not given all that wait, because its siblings may come up a
// moment later: it gets its share, one part for it and one for each peer that is Coming, and as many more as it answers.
// What is left after the settle time goes to whoever serves then.

const (
	beat = 100 * time.Millisecond // resolution of the timeouts of waiting

	// settle is how long the requests that are not among the share of the first process wait for the next one: processes
	// that are started together come up within some tenths of a second, and a visitor hardly notices as much.
	settle = 200 * time.Millisecond

	// grace is how long a process that seems to have died is waited for until its supervisor says so: it hears of it within
	// milliseconds, but on Windows, or on a machine that swaps, that may be after the failure of the request. One that lives for
	// sure (GroupOptions.Lives) is not suspected, so that a page whose process only closes its connection takes no longer for it.
	grace = time.Second

	defaultQueueTimeout = time.Minute // that of nginx's queue directive
	defaultQueueLength  = 1000        // of requests held, where none is queued
)

// Why a request got no peer.
var (
	ErrNoPeers    = errors.New("no live upstreams") // nobody serves and nobody is expected
	ErrQueueFull  = errors.New("queue is full")     // as many requests wait as may
	ErrClientFull = errors.New("client has as many requests waiting as it may")
	ErrLate       = errors.New("no time is left")         // Waiter.Until is over
	ErrNoSlot     = errors.New("no slot became free")     // within the timeout of the queue
	ErrNoProcess  = errors.New("no process became ready") // within the timeout of holding
	ErrLeft       = errors.New("client left")             // Leave was called

	// ErrNotServing is the cause of a Refused error of a peer whose process had ended between Take and Lease: nothing was
	// dialled, and another peer is to be chosen as if this one had not been.
	ErrNotServing = errors.New("process has ended")
)

// Waiter is a request that asks a group for a peer. It is reused for one wait after the other, and by one request after the
// other after a Reset.
type Waiter struct {
	// Pick takes a slot of one of the peers for the request, or returns nil. Like Tried, it is called between Join and the
	// return of Await, by any goroutine, with the queue locked: it must not block, and call nothing that makes a slot.
	Pick func(from []*Peer) *Peer
	// Tried says whether the request was at the peer's present process already.
	Tried func(p *Peer) bool

	Lane   Lane
	Client netip.Addr    // whose request it is; the zero value is nobody's
	Retry  bool          // some peers were tried: Pick may refuse what others would take
	Since  time.Time     // when the request first asked for a peer: of one client the oldest is served first
	Until  time.Time     // when waiting makes no sense any more; zero: no such moment
	Total  time.Duration // that the request has waited

	queue   *queue
	before  *Waiter // in its lane, towards the front; nil for one that is not the oldest of its client
	behind  *Waiter
	older   *Waiter // of the same client in the same lane
	younger *Waiter
	turn    time.Time // since when the client waits for its turn
	queued  bool
	waits   bool // it was not served at once
	joined  time.Time
	why     reason
	seen    time.Time // when spent was last brought up to date
	spent   [2]time.Duration
	done    chan grant // capacity 1
}

// grant is how a wait ended.
type grant struct {
	peer *Peer
	err  error
}

// reason is what a request waits for; waits for the one do not shorten those for the other.
type reason uint8

const (
	forSlot reason = iota
	forProcess
	hopeless
)

// Reset prepares w for another request; Pick and Tried stay.
func (w *Waiter) Reset() {
	w.Retry, w.Since, w.Until, w.Total, w.spent = false, time.Time{}, time.Time{}, 0, [2]time.Duration{}
	w.Lane, w.Client = Normal, netip.Addr{}
}

// queue are the waiting requests of a group.
type queue struct {
	group     *Group
	length    int
	perClient int              // 0: no limit
	reserve   int              // percent of the slots
	timeout   [2]time.Duration // by reason; 0: nobody waits for that

	waiting    atomic.Int64 // changed under mu
	total      atomic.Uint64
	full       atomic.Uint64
	clientFull atomic.Uint64
	timedOut   atomic.Uint64
	waited     atomic.Int64 // ns, of all requests together

	mu       sync.Mutex // guards all below and the Waiters; taken before the locks of pickers and peers
	lines    [lanes]line
	shares   map[netip.Addr]*share // of the clients that have requests here
	list     []*Waiter             // see all
	timer    *time.Timer           // the beat
	beating  bool
	settled  time.Time // until then the shares of processes hold
	demanded time.Time // when onWait was called last
}

func (q *queue) init(g *Group, opts *GroupOptions) {
	q.group, q.length, q.perClient = g, max(opts.Queue.Length, 0), max(opts.Queue.PerClient, 0)
	q.reserve = defaultReserve
	if opts.Queue.Reserve != 0 {
		q.reserve = max(opts.Queue.Reserve, 0)
	}
	if q.length > 0 {
		q.timeout[forSlot] = opts.Queue.Timeout
		if q.timeout[forSlot] == 0 {
			q.timeout[forSlot] = defaultQueueTimeout
		}
	}
	q.timeout[forProcess] = max(opts.HoldTimeout, 0)
	if q.length == 0 && opts.HoldTimeout > 0 {
		q.length = defaultQueueLength
	}
}

// QueueStats are the numbers of a group's queue; those of the second line are since the start.
type QueueStats struct {
	Waiting, Length       int           // requests that wait now, and that may
	Total, Full, TimedOut uint64        // requests that waited, that found the queue full, and that waited in vain
	ClientFull            uint64        // requests whose clients had as many waiting as one may
	Waited                time.Duration // how long, all together
	Lanes                 [lanes]int    // requests that wait now, by Lane
	Bulk                  int           // bulk requests that have a slot now
}

// Queue returns the numbers of the queue.
func (g *Group) Queue() QueueStats {
	q := &g.queue
	stats := QueueStats{
		Waiting: int(q.waiting.Load()), Length: q.length,
		Total: q.total.Load(), Full: q.full.Load(), TimedOut: q.timedOut.Load(), ClientFull: q.clientFull.Load(),
		Waited: time.Duration(q.waited.Load()), Bulk: int(g.bulk.Load()),
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.lines {
		stats.Lanes[i] = q.lines[i].waiting
	}
	return stats
}

// PerClient returns how many requests of one client may wait; 0 is no limit.
func (g *Group) PerClient() int { return g.queue.perClient }

// QueueTimeout returns how long a request waits for a slot at most, and HoldTimeout how long for a process; 0: not at all.
func (g *Group) QueueTimeout() time.Duration { return g.queue.timeout[forSlot] }

// HoldTimeout returns how long a request waits for a process at most.
func (g *Group) HoldTimeout() time.Duration { return g.queue.timeout[forProcess] }

// Crowded says that requests wait: a new one joins them. It costs one load of memory that hardly ever changes.
func (g *Group) Crowded() bool { return g.queue.waiting.Load() > 0 }

// Join makes w wait for a peer; Await must follow. Between the two Leave may be made known to whoever sees the client go.
func (g *Group) Join(w *Waiter) {
	if w.done == nil {
		w.done = make(chan grant, 1)
	}
	w.queue = &g.queue
	if w.queue.join(w, time.Now()) {
		g.onWait()
	}
}

// join says whether the processes are to be told that somebody waits.
func (q *queue) join(w *Waiter, now time.Time) (demand bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	crowded := q.waiting.Load() > 0
	q.insert(w, now)
	if !crowded || now.After(q.settled) {
		q.grant(q.group.Peers(), math.MaxInt)
	}
	w.why = q.reasonOf(w, now)
	switch {
	case !w.queued:
	case w.why == hopeless:
		q.finish(w, now, grant{err: ErrNoPeers})
	case q.hogs(w):
		q.clientFull.Add(1)
		q.finish(w, now, grant{err: ErrClientFull})
	case int(q.waiting.Load()) > q.length:
		q.full.Add(1)
		q.finish(w, now, grant{err: ErrQueueFull})
	default:
		w.waits = true
		q.total.Add(1)
		q.keepBeat()
	}
	return w.queued && q.demand(now)
}

// hogs says whether the client of w has more requests waiting than one may.
func (q *queue) hogs(w *Waiter) bool {
	s := q.shares[w.Client]
	return q.perClient > 0 && s != nil && s.waiting > q.perClient
}

// Await returns the peer that w got, with a slot taken, or one of the errors above.
func (w *Waiter) Await() (*Peer, error) {
	got := <-w.done // comes with a slot, from the beat at the latest, or from Leave
	return got.peer, got.err
}

// Leave ends the wait at once, from any goroutine; it does nothing when there is none any more.
func (w *Waiter) Leave() {
	q := w.queue
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.queued {
		q.finish(w, time.Now(), grant{err: ErrLeft})
	}
}

// finish takes w out of the queue and tells it how its wait ended.
func (q *queue) finish(w *Waiter, now time.Time, end grant) {
	q.remove(w, end.peer != nil, now)
	if w.waits {
		q.spend(w, now)
		w.Total += now.Sub(w.joined)
		q.waited.Add(int64(now.Sub(w.joined)))
	}
	w.done <- end
}

// grant gives slots of the peers to at most n requests.
func (q *queue) grant(from []*Peer, n int) {
	for ; n > 0 && q.grantNext(from); n-- {
	}
}

// grantNext gives a slot to the request whose turn it is. A request that was tried on some peers may have to let it pass, and so
// may one of Bulk; what any other cannot use, nobody can.
func (q *queue) grantNext(from []*Peer) bool {
	for _, lane := range q.order() {
		for head := q.lines[lane].first; head != nil; head = head.behind {
			w := head
			p := w.Pick(from)
			for ; p == nil && w.Retry && w.younger != nil; p = w.Pick(from) {
				w = w.younger
			}
			switch {
			case p != nil:
				q.pass(lane)
				q.finish(w, time.Now(), grant{peer: p})
				return true
			case w.Retry:
				continue
			case lane != Bulk:
				return false
			}
			break
		}
	}
	return false
}

// freed gives a slot of p to the request that waited longest for it.
func (q *queue) freed(p *Peer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	from := p.self[:]
	if q.lines[Bulk].first != nil {
		from = q.group.Peers() // a bulk request may have left a slot of another peer free before, for the reserve
	}
	q.grant(from, 1)
}

// changed acts on another state of p.
func (q *queue) changed(p *Peer, state State) {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	if state != Serving {
		q.expire(now)
		return
	}
	share := math.MaxInt
	if coming := q.group.coming(); p.limit == noLimit && coming > 0 {
		share = (int(q.waiting.Load()) + coming) / (1 + coming)
		q.settled = now.Add(settle)
	}
	q.grant(p.self[:], share)
}

// coming counts the peers whose processes are expected.
func (g *Group) coming() int {
	n := 0
	for _, p := range g.Peers() {
		if p.State() == Coming && !p.down {
			n++
		}
	}
	return n
}

// keepBeat sees to it that the beat goes on while somebody waits.
func (q *queue) keepBeat() {
	switch {
	case q.beating || q.waiting.Load() == 0:
		return
	case q.timer == nil:
		q.timer = time.AfterFunc(beat, q.onBeat)
	default:
		q.timer.Reset(beat)
	}
	q.beating = true
}

// onBeat is called now and then while somebody waits.
func (q *queue) onBeat() {
	now := time.Now()
	q.mu.Lock()
	q.beating = false
	if now.After(q.settled) {
		q.grant(q.group.Peers(), math.MaxInt)
	}
	q.expire(now)
	q.keepBeat()
	demand := q.waiting.Load() > 0 && q.demand(now)
	q.mu.Unlock()
	if demand {
		q.group.onWait()
	}
}

// demand says whether it is time to say that requests wait: when the first begins, and at most once in a beat.
func (q *queue) demand(now time.Time) bool {
	if q.group.onWait == nil || now.Sub(q.demanded) < beat {
		return false
	}
	q.demanded = now
	return true
}

// expire ends the waits that have lasted too long, or have become hopeless.
func (q *queue) expire(now time.Time) {
	for _, w := range q.all() {
		q.spend(w, now)
		w.why = q.reasonOf(w, now)
		switch {
		case w.why == hopeless:
			q.finish(w, now, grant{err: ErrNoPeers})
		case !w.Until.IsZero() && now.After(w.Until):
			q.finish(w, now, grant{err: ErrLate})
		case w.spent[w.why] >= q.timeout[w.why]:
			q.timedOut.Add(1)
			q.finish(w, now, grant{err: [...]error{forSlot: ErrNoSlot, forProcess: ErrNoProcess}[w.why]})
		}
	}
}

// Hopeless says whether a request that does not wait at present would wait in vain. Pick and Tried are the caller's own then.
func (g *Group) Hopeless(w *Waiter) bool { return g.queue.reasonOf(w, time.Now()) == hopeless }

// spend counts the time since the last look for what w waited for in it.
func (q *queue) spend(w *Waiter, now time.Time) {
	if w.why != hopeless {
		w.spent[w.why] += now.Sub(w.seen)
	}
	w.seen = now
}

// reasonOf says what w waits for.
func (q *queue) reasonOf(w *Waiter, now time.Time) reason {
	why := hopeless
	if q.group.closed.Load() {
		return why
	}
	peers := q.group.Peers()
	if len(peers) == 0 {
		why = forProcess // whoever adds peers has not found one yet
	}
	for _, p := range peers {
		switch state := p.State(); {
		case p.down || p.drain || state == Away || state == Gone:
		case state == Serving && !p.PassedOver(now) && !w.Tried(p):
			if q.timeout[forSlot] > 0 {
				return forSlot
			}
			if p.Usable(now) { // it is about to be given to somebody
				why = forProcess
			}
		case state == Coming || p.suspected(now):
			why = forProcess
		}
	}
	if why == forProcess && q.timeout[forProcess] == 0 {
		return hopeless
	}
	return why
}

// close ends all waits.
func (q *queue) close() {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.all() {
		q.finish(w, now, grant{err: ErrNoPeers})
	}
}
