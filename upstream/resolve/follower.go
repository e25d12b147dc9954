package resolve

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"spillway/upstream"
)

// Each name of a group has a goroutine that does the same over and over:
//
//  1. refresh asks. What is answered becomes peers: adopt adds the new ones, then removes those that are gone. What is not
//     answered, or is answered with nothing, changes nothing.
//  2. It waits: as long as the answer is good, or, after a failure, a second, then twice as long, and so on.

const (
	retryMin = time.Second
	retryMax = 30 * time.Second

	// complainEvery is how often a name that is still not resolved is told of again.
	complainEvery = 10 * time.Minute
)

// errNoAddress is why an answer is of no use.
var errNoAddress = errors.New("DNS knows no address of it")

// Name is a host name among the peers of a group.
type Name struct {
	Question

	Port uint16               // of the peers; with a Service it is in the records
	Once bool                 // the first answer is good for ever
	Peer upstream.PeerOptions // of each peer but for Address and Name, with a Service also Weight and Backup
}

// String returns the name as logs show it: with its port, as in nginx, or its service.
func (n *Name) String() string {
	if n.Service != "" {
		return n.Question.String()
	}
	return net.JoinHostPort(n.Name, strconv.Itoa(int(n.Port)))
}

// FollowerOptions are the parts of a Follower.
type FollowerOptions struct {
	Group *upstream.Group // required
	Names []Name
	// Lookup is that of a Resolver: see there.
	Lookup func(ctx context.Context, q Question, before []Target) (Answer, error)
	Log    *slog.Logger // required
	Before *Follower    // whose answers serve as long as there is none to the same question yet; nil: none
	// OnAnswer is called after each answer, when the group has its peers, by several goroutines; nil: nobody.
	OnAnswer func()
}

// Follower lets a group have the peers that its names stand for.
type Follower struct {
	opts     FollowerOptions
	names    []*followed
	stop     context.CancelFunc
	working  sync.WaitGroup
	answered chan struct{}  // closed when each name was asked for once
	open     sync.WaitGroup // names that were not
}

// followed is a name on its way through the answers.
type followed struct {
	f     *Follower
	name  Name
	log   *slog.Logger
	peers map[Target]*upstream.Peer // of the goroutine that asks

	answers, empty, failures atomic.Uint64

	mu      sync.Mutex // guards all below
	targets []Target   // of the last answer that had any
	at      time.Time  // when that came; zero: there was none
	next    time.Time  // when the name is asked for again; zero: not any more
	since   time.Time  // of the first failure since then; zero: there was none
	told    time.Time  // when somebody was told of the failures last
	err     error      // of the last lookup
}

// Follow begins to ask for the names. Stop must follow.
func Follow(opts FollowerOptions) *Follower {
	ctx, stop := context.WithCancel(context.Background())
	f := &Follower{opts: opts, stop: stop, answered: make(chan struct{})}
	f.opts.Before = nil // or with it all that were before would be kept
	f.open.Add(len(opts.Names))
	for i := range opts.Names {
		name := opts.Names[i]
		log := opts.Log.With("upstream", opts.Group.Name(), "name", name.String())
		n := &followed{f: f, name: name, log: log, peers: map[Target]*upstream.Peer{}}
		f.names = append(f.names, n)
		if before := opts.Before.known(name); before != nil {
			n.inherit(before)
		}
		f.working.Go(func() { n.follow(ctx) }) // ends with Stop, or with the answer to a name that is asked for once
	}
	go func() { // ends when the first lookups have ended, which are bounded
		f.open.Wait()
		close(f.answered)
	}()
	return f
}

// First waits until each name was asked for once, with whatever answer. The error is that of ctx.
func (f *Follower) First(ctx context.Context) error {
	select {
	case <-f.answered:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stop ends the asking, and returns when nobody asks any more. The peers stay.
func (f *Follower) Stop() {
	f.stop()
	f.working.Wait()
}

// known returns what is known of a name, nil when nothing is.
func (f *Follower) known(name Name) *followed {
	if f == nil {
		return nil
	}
	for _, n := range f.names {
		if n.name.Question == name.Question {
			return n
		}
	}
	return nil
}

// inherit begins with the answer of another Follower.
func (n *followed) inherit(other *followed) {
	other.mu.Lock()
	targets, at := other.targets, other.at
	other.mu.Unlock()
	if at.IsZero() {
		return
	}
	n.adopt(targets)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.targets, n.at = targets, at
}

// follow asks until ctx ends.
func (n *followed) follow(ctx context.Context) {
	pause, again := n.refresh(ctx, 0)
	n.f.open.Done()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for again {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		pause, again = n.refresh(ctx, pause)
		timer.Reset(pause)
	}
}

// refresh asks once. It returns when to ask again; last is what it returned before.
func (n *followed) refresh(ctx context.Context, last time.Duration) (pause time.Duration, again bool) {
	n.mu.Lock()
	before := n.targets
	n.mu.Unlock()
	answer, err := n.f.opts.Lookup(ctx, n.name.Question, before)
	if ctx.Err() != nil {
		return 0, false
	}
	targets := answer.Targets
	if n.name.Peer.Backup { // nginx: what would be primary is backup, and what would be backup is left out
		targets = slices.DeleteFunc(slices.Clone(targets), func(t Target) bool { return t.Backup })
	}
	now := time.Now()
	switch {
	case err != nil:
		n.failures.Add(1)
	case len(targets) == 0:
		n.empty.Add(1)
		err = errNoAddress
	default:
		n.answers.Add(1)
		n.adopt(targets)
		n.succeeded(targets, now, answer.TTL)
		if n.f.opts.OnAnswer != nil {
			n.f.opts.OnAnswer()
		}
		return answer.TTL, !n.name.Once
	}
	pause = n.pauseAfter(last)
	n.failed(err, now, pause)
	return pause, true
}

// pauseAfter returns how long to wait after a failure, when the pause before was last.
func (n *followed) pauseAfter(last time.Duration) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.since.IsZero() {
		return retryMin
	}
	return min(2*last, retryMax)
}

// succeeded notes an answer.
func (n *followed) succeeded(targets []Target, now time.Time, ttl time.Duration) {
	n.mu.Lock()
	since := n.since
	n.targets, n.at, n.next, n.since, n.told, n.err = targets, now, now.Add(ttl), time.Time{}, time.Time{}, nil
	if n.name.Once {
		n.next = time.Time{}
	}
	n.mu.Unlock()
	if !since.IsZero() {
		n.log.Warn("name resolved again", "addresses", len(targets), "took", now.Sub(since).Round(time.Second))
	}
}

// failed notes that there was no answer of use, and tells of it: at first, and now and then.
func (n *followed) failed(err error, now time.Time, pause time.Duration) {
	n.mu.Lock()
	n.err, n.next = err, now.Add(pause)
	if n.since.IsZero() {
		n.since = now
	}
	tell := n.told.IsZero() || now.Sub(n.told) >= complainEvery
	if tell {
		n.told = now
	}
	at := n.at
	n.mu.Unlock()
	switch {
	case !tell:
	case at.IsZero():
		n.log.Error("name not resolved", "err", reason(err))
	default:
		n.log.Warn("name not refreshed", "age", now.Sub(at).Round(time.Second), "err", reason(err))
	}
}
