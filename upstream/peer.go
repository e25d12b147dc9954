package upstream

import (
	"crypto/md5"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PeerOptions describe a peer; the fields are nginx's parameters of the server directive.
type PeerOptions struct {
	Address     string        // host:port, or unix:/path
	Weight      int           // 0 is 1
	MaxFails    int           // failures within FailTimeout that disable the peer; 0 switches the accounting off
	FailTimeout time.Duration // how long a peer stays disabled, and how long failures count
	MaxConns    int           // requests in flight at most; 0 is no limit
	Backup      bool          // used only when no other peer is usable
	Down        bool          // never used
	Drain       bool          // used only by requests that are bound to it by their cookie
	SlowStart   time.Duration // for how long its weight grows once it is usable again, see Share; 0 is not at all
	State       State         // what is known of its process at first, unless a group of Kin knows it; 0 is Serving
	Name        string        // the host name that Address was resolved from, "" for one that was written as it is
}

// Peer is one address of a group.
type Peer struct {
	address     string   // as shown in logs, set by NewGroup, read only as the others of this block
	name        string   // that the address was resolved from, or ""
	network     string   // tcp or unix
	target      string   // what is dialled
	index       int      // among the peers of the group
	self        [1]*Peer // the peer alone, for the queue
	weight      int
	maxFails    int
	failTimeout time.Duration
	limit       uint64 // slots, or noLimit
	backup      bool
	down        bool
	drain       bool
	slowStart   time.Duration
	route       string
	tls         *tls.Config // nil: without TLS
	group       *Group
	*account    // shared with the peers of the same address in the groups before and after this one

	spare     atomic.Bool   // see SetSpare
	gone      atomic.Bool   // removed from the group
	effective atomic.Int64  // nginx's effective_weight: lowered by failures, raised again by picks
	spentAt   atomic.Uint64 // the number of requests with which the present process has had its max_requests; 0: none
	health    atomic.Uint32 // a Health; changed under account.mu
	slowSince atomic.Int64  // Unix time in ns since when the weight grows; 0: it has grown

	idleMu sync.Mutex // guards idle
	idle   []*Conn    // most recently used last
}

// Outcome is how an attempt ended, for the peer's health.
type Outcome uint8

// The outcomes of an attempt.
const (
	Succeeded Outcome = iota // the peer answered
	Broken                   // the attempt failed by nginx's rules: counts against max_fails
	Died                     // as Broken, and in a way that suggests that the peer's process has ended
	Abandoned                // ended by the client or by us: says nothing about the peer
)

// newPeer makes a peer that the group has besides those others.
func newPeer(g *Group, others []*Peer, index int, opts PeerOptions) (*Peer, error) {
	p := &Peer{
		address: opts.Address, name: opts.Name, network: "tcp", target: opts.Address, index: index, group: g,
		weight: max(opts.Weight, 1), maxFails: opts.MaxFails, failTimeout: opts.FailTimeout,
		limit: limitOf(opts.MaxConns, g.concurrency), backup: opts.Backup, down: opts.Down, drain: opts.Drain,
		slowStart: opts.SlowStart, route: routeOf(opts.Address),
	}
	if path, ok := strings.CutPrefix(opts.Address, "unix:"); ok {
		p.network, p.target = "unix", path
	} else if _, _, err := net.SplitHostPort(opts.Address); err != nil {
		return nil, errors.New("peer " + opts.Address + ": want host:port or unix:/path")
	}
	p.tls = p.tlsFor(g.tls)
	p.self[0] = p
	p.open(g.kinOf(p.address, others), opts.State)
	return p, nil
}

// Address returns the peer's address as logs show it.
func (p *Peer) Address() string { return p.address }

// Endpoint returns what is dialled, in the terms of net.Dial: tcp and host:port, or unix and a path.
func (p *Peer) Endpoint() (network, address string) { return p.network, p.target }

// Name returns the host name that the address was resolved from, "" for an address that was written as it is.
func (p *Peer) Name() string { return p.name }

// Index returns a number that no other peer of the group has, small enough to be the index of an array; the peers that NewGroup
// makes are numbered in their order. A peer that is added when another was removed and drained may get that one's: who keeps
// something of a peer under its index compares the peer, too.
func (p *Peer) Index() int { return p.index }

// Weight returns the configured weight.
func (p *Peer) Weight() int { return p.weight }

// Backup says that the peer is used only when no other is usable.
func (p *Peer) Backup() bool { return p.backup }

// Route returns what stands for the peer in the cookie of a sticky group, as in nginx: the MD5 of its address in hexadecimal
// digits.
func (p *Peer) Route() string { return p.route }

// routeOf does not keep the address secret from who can guess it; it keeps it out of sight, and gives it a fixed length.
func routeOf(address string) string {
	sum := md5.Sum([]byte(address))
	return hex.EncodeToString(sum[:])
}

// FailTimeout returns nginx's fail_timeout of the peer.
func (p *Peer) FailTimeout() time.Duration { return p.failTimeout }

// Usable says whether the peer may be chosen for an attempt, by nginx's rules and the verdict of probes: not down, not drained,
// serving, with a free slot and not passed over.
func (p *Peer) Usable(now time.Time) bool { return !p.drain && p.UsableByBound(now) }

// UsableByBound is Usable for a request that is bound to the peer by its cookie: one that is drained takes it.
func (p *Peer) UsableByBound(now time.Time) bool {
	return !p.down && !p.full() && (p.spotless() || !p.PassedOver(now))
}

// Disabled says whether the peer has failed by nginx's rules: max_fails were reached and fail_timeout is not over. In a group of
// one peer failures disable nothing.
func (p *Peer) Disabled(now time.Time) bool {
	if p.maxFails == 0 || p.fails.Load() < int64(p.maxFails) || p.group.single() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.checked) <= p.failTimeout
}

// Report tells the peer how an attempt on its run-th process ended (Runs, asked between Take and Lease): what a process did
// that was replaced meanwhile says nothing about the next. It returns true when failures have reached max_fails, so that the
// peer is disabled from now on (nginx's warning "upstream server temporarily disabled").
func (p *Peer) Report(run uint64, outcome Outcome, now time.Time) (disabled bool) {
	switch outcome {
	case Succeeded:
		p.succeeded(run, now)
	case Broken, Died:
		p.failures.Add(1)
		if outcome == Died && p.lives() {
			outcome = Broken
		}
		return p.failed(run, outcome, now)
	case Abandoned:
	}
	return false
}

// succeeded forgets failures once the peer was checked after its last one.
func (p *Peer) succeeded(run uint64, now time.Time) {
	if p.fails.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs.Load() == run && p.accessed.Before(p.checked) {
		if p.fails.Swap(0) >= int64(p.maxFails) {
			p.startAllSlowly(now)
		}
	}
}

func (p *Peer) failed(run uint64, outcome Outcome, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs.Load() != run || p.State() == Gone {
		return false
	}
	if outcome == Died && !p.group.unsupervised {
		p.suspect(now)
	}
	if p.maxFails == 0 || p.group.single() {
		return false
	}
	p.accessed, p.checked = now, now
	disabled := p.fails.Add(1) >= int64(p.maxFails)
	lowered := p.effective.Load() - int64(p.weight/p.maxFails)
	p.effective.Store(max(lowered, 0))
	return disabled
}

// acceptPatience is how long a process may take to accept a connection that shows that it lives: its kernel does it, within
// microseconds. One that refuses takes longer on Windows.
const acceptPatience = 100 * time.Millisecond

// lives says whether the peer's process lives for sure, although it has closed a connection: it has not begun to end, and somebody
// listens. The one without the other says little: a process may be the child of the one that is known, and the descriptors of one
// that ends are closed one after the other.
func (p *Peer) lives() bool {
	return !p.group.unsupervised && p.group.lives != nil && p.group.lives(p) && p.accepts(acceptPatience)
}

// suspect begins the suspicion that the peer's process has ended, although nobody has said so yet. Further failures do not
// prolong it, and where it was wrong there is no other for as long: a process that lives but takes nobody would otherwise keep
// all requests waiting until hold_timeout.
func (p *Peer) suspect(now time.Time) {
	if now.UnixNano()-p.diedAt.Load() >= 2*int64(grace) {
		p.diedAt.Store(now.UnixNano())
	}
}

// suspected says whether it is worth waiting for what becomes of the peer's process.
func (p *Peer) suspected(now time.Time) bool { return now.UnixNano()-p.diedAt.Load() < int64(grace) }

// Standing returns what keeps the peer from getting requests, in the words of the status page: down by the configuration,
// coming or away like its process, leaving the group, disabled by failures, unhealthy by its probes, drained by the
// configuration; or that nothing does: up.
func (p *Peer) Standing(now time.Time) string {
	switch {
	case p.down:
		return "down"
	case p.State() == Gone:
		return "leaving"
	case p.State() != Serving:
		return p.State().String()
	case p.Disabled(now):
		return "disabled"
	case p.Health() == Unhealthy:
		return "unhealthy"
	case p.drain:
		return "drain"
	default:
		return "up"
	}
}

// LastEnd returns the number of the process that went out of service last, by Runs, and when that was; 0: none did.
func (p *Peer) LastEnd() (run uint64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.endedRun, p.endedAt
}

// Fails returns the failures that count at present.
func (p *Peer) Fails() int { return int(p.fails.Load()) }

// Requests returns how many slots of the peer were taken since the start.
func (p *Peer) Requests() uint64 { return p.requests.Load() }

// Failures returns how many attempts failed at the peer since the start.
func (p *Peer) Failures() uint64 { return p.failures.Load() }

// SetSpare notes whether no process is meant to be at the peer at present: it is where the next one may come. Spare says so.
func (p *Peer) SetSpare(spare bool) { p.spare.Store(spare) }

// Spare says whether the peer is one that no process has.
func (p *Peer) Spare() bool { return p.spare.Load() }

// Down says that the configuration takes the peer out of use.
func (p *Peer) Down() bool { return p.down }

// Drain says that the configuration leaves the peer to the requests that are bound to it.
func (p *Peer) Drain() bool { return p.drain }
