package health

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"spillway/upstream"
)

// How a verdict comes about:
//
//  1. run wakes up when a probe is due, and round begins those that are.
//  2. probe asks one peer and counts the outcome.
//  3. judge tells the peer when that makes another verdict, and the log.

// soon is how long a peer that was added to the group may go unnoticed, and over which time the first probes are spread, if the
// interval is not shorter: an operator who starts spillway does not want to wait for the first verdict.
const soon = time.Second

// Options describe how the peers of a group are probed.
type Options struct {
	Group    *upstream.Group
	Probe    Probe
	Name     string        // of the probe, for the log, such as "GET /health"
	Interval time.Duration // between the beginnings of two probes of a peer, give or take a tenth
	Timeout  time.Duration // for a whole probe
	Fails    int           // failures in a row that make a peer unhealthy; at least 1
	Passes   int           // successes in a row that make it healthy again; at least 1; 1 for one that is unhealthy when it is new

	// OnUnhealthy is called when a peer has become unhealthy; nil: nobody wants to know. It must not block for long.
	OnUnhealthy func(p *upstream.Peer)
	Log         *slog.Logger
}

// Checker probes the peers of a group until Close.
type Checker struct {
	opts Options
	stop context.CancelFunc

	mu    sync.Mutex // guards all below
	peers map[*upstream.Peer]*record
}

// record is what is known of a peer.
type record struct {
	next    time.Time // when the next probe is due
	probing bool      // one is on its way
	proven  bool      // a probe has succeeded, or none has to

	run           uint64 // of the process that the next line speaks of
	fails, passes int    // in a row

	status Status
}

// Start begins to probe. The caller closes the Checker.
func Start(opts Options) *Checker {
	ctx, stop := context.WithCancel(context.Background())
	c := &Checker{opts: opts, stop: stop, peers: map[*upstream.Peer]*record{}}
	go c.run(ctx) // ends with Close
	return c
}

// Close ends the probing. No verdict follows; probes that are on their way end at once or, while they connect, within their
// timeout.
func (c *Checker) Close() { c.stop() }

// Of returns what is known of a peer; nothing of one that was not probed yet.
func (c *Checker) Of(p *upstream.Peer) Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.peers[p]; r != nil {
		return r.status
	}
	return Status{}
}

func (c *Checker) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(c.round(ctx, time.Now()))
		}
	}
}

// round begins the probes that are due, and returns the time until the next one is. The peers of a group may be others each
// time.
func (c *Checker) round(ctx context.Context, now time.Time) time.Duration {
	peers := c.opts.Group.Peers()
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := min(soon, c.opts.Interval)
	for _, p := range peers {
		r := c.peers[p]
		if r == nil {
			r = c.meet(p, now)
			c.peers[p] = r
		}
		if !now.Before(r.next) {
			r.next = now.Add(c.jittered())
			if !r.probing && p.State() == upstream.Serving && !p.Down() {
				r.probing = true
				go c.probe(ctx, p, r) // ends with its timeout
			}
		}
		wait = min(wait, r.next.Sub(now))
	}
	if len(c.peers) > len(peers) {
		for p := range c.peers {
			if !slices.Contains(peers, p) {
				delete(c.peers, p)
			}
		}
	}
	return wait
}

// meet makes the record of a peer that is new here. One that gets no requests before its first probe does not wait for it.
func (c *Checker) meet(p *upstream.Peer, now time.Time) *record {
	if p.Health() == upstream.Unhealthy {
		return &record{run: p.Runs(), next: now}
	}
	return &record{run: p.Runs(), proven: true, next: now.Add(rand.N(min(soon, c.opts.Interval)))}
}

// jittered is the interval, give or take a tenth.
func (c *Checker) jittered() time.Duration {
	tenth := c.opts.Interval / 10
	return c.opts.Interval - tenth + rand.N(2*tenth+1)
}

// probe asks a peer once.
func (c *Checker) probe(ctx context.Context, p *upstream.Peer, r *record) {
	run, began := p.Runs(), time.Now()
	err := c.ask(ctx, p)
	outcome := Passed
	switch {
	case ctx.Err() != nil:
		return
	case p.Runs() != run || p.State() != upstream.Serving || errors.Is(err, ErrNoVerdict):
		outcome = Skipped
	case err != nil:
		outcome = Failed
	}
	c.judge(p, run, c.count(r, run, outcome, began, err), err)
}

// ask probes in a slot of the peer.
func (c *Checker) ask(ctx context.Context, p *upstream.Peer) error {
	end, ok := p.BeginProbe()
	if !ok {
		return ErrNoVerdict
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.opts.Timeout, noAnswer(c.opts.Timeout))
	defer cancel()
	err := c.opts.Probe(ctx, p)
	crowded := end()
	if err == nil || ctx.Err() == nil {
		return err
	}
	if crowded {
		return ErrNoVerdict
	}
	return context.Cause(ctx)
}

// verdict is what an outcome leads to.
type verdict uint8

const (
	same verdict = iota
	healthy
	unhealthy
)

// count notes an outcome and returns the verdict on the run-th process.
func (c *Checker) count(r *record, run uint64, outcome Outcome, began time.Time, err error) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.probing = false
	r.status.note(outcome, began, err)
	if r.run != run {
		r.run, r.fails, r.passes = run, 0, 0
	}
	switch outcome {
	case Passed:
		r.fails, r.passes = 0, r.passes+1
		if r.passes >= c.opts.Passes || !r.proven {
			r.proven = true
			return healthy
		}
	case Failed:
		r.fails, r.passes = r.fails+1, 0
		if r.fails >= c.opts.Fails {
			return unhealthy
		}
	case Skipped:
	}
	return same
}

// judge tells the peer, and once per change the log.
func (c *Checker) judge(p *upstream.Peer, run uint64, v verdict, err error) {
	g := c.opts.Group
	about := []any{"upstream", g.Name(), "scheme", g.Scheme(), "peer", p.Address()}
	switch v {
	case same:
	case healthy:
		if p.SetHealth(run, upstream.Healthy) {
			// As loud as what it ends: who has read of the failure must not think that it goes on.
			c.opts.Log.Warn("peer is healthy", about...)
		}
	case unhealthy:
		if !p.SetHealth(run, upstream.Unhealthy) {
			return
		}
		c.opts.Log.Warn("peer is unhealthy", append(about, "failures", c.opts.Fails, "probe", c.opts.Name, "err", err)...)
		if !g.HasSound(time.Now()) {
			c.opts.Log.Warn("all peers are unhealthy", "upstream", g.Name(), "scheme", g.Scheme())
		}
		if c.opts.OnUnhealthy != nil {
			c.opts.OnUnhealthy(p)
		}
	}
}
