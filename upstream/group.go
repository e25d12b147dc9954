package upstream

import (
	"crypto/tls"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// GroupOptions describe a group.
type GroupOptions struct {
	Name     string        // nginx's upstream name; shown where no peer was chosen
	Scheme   string        // http, fastcgi, scgi or uwsgi: how peers are shown in the error log
	Protocol Protocol      // the wire language of all peers
	Peers    []PeerOptions // those that it has at first; none: Add brings them

	// TLS is what connections are made with, to verify that of each peer; nil: without TLS. Without a ServerName it is the peer's
	// host name or address.
	TLS *tls.Config

	Keepalive         int           // idle connections kept at most, nginx's keepalive; 0 keeps none
	KeepaliveTimeout  time.Duration // how long one stays idle at most; 0 is a minute
	KeepaliveRequests int           // requests that one connection carries at most; 0 is nginx's 1000

	Concurrency int           // requests in flight at one peer at most, together with its MaxConns; 0 is no limit
	Queue       Queue         // waiting for a slot when all are in use; zero: nobody waits, as in nginx
	HoldTimeout time.Duration // how long a request waits for a process that is Coming, or for the first peer; 0: not at all
	Retries     RetryBudget   // of all requests together; zero: no bound, as in nginx

	// Lives says whether the process of a peer has not begun to end, of one that has closed a connection: nobody waits for its
	// successor then. false: it is not known. nil: it never is.
	Lives func(*Peer) bool

	Unsupervised bool // nobody says what becomes of the processes: one that seems to have ended is not waited for

	Flights Flights // until when an attempt counts for FlightTime; zero: nobody asks

	Probed  bool   // somebody probes the peers: of a process that a group of Kin has probed, the verdict holds
	Initial Health // the verdict of probes on a peer that is new

	// Kin are groups of the same processes, made of other settings: a peer whose address one of them has shares with that peer what
	// is known of the process, the slots in use above all. The first one that has it counts. nil: none.
	Kin []*Group

	MaxRequests       int            // requests of one process, from SetState(Serving) on, until OnSpent is called; 0: never
	MaxRequestsJitter int            // up to as many more, at random, so that not all processes are spent at once
	OnSpent           func(*Peer)    // called once per process, on a goroutine of its own; nil: nothing is counted
	Runs              *atomic.Uint64 // from where peers take the numbers of their processes, so that groups have none in common; nil: each peer counts by itself
	OnWait            func()         // called when requests begin to wait, and now and then while some do; must not block
}

// Queue bounds the requests of a group that wait.
type Queue struct {
	Length  int           // requests that wait at most, for a slot and for a process together; 0: none waits for a slot
	Timeout time.Duration // how long one waits for a slot at most; 0 is a minute, that of nginx's queue

	PerClient int // requests of one client that wait at most; 0: no limit
	Reserve   int // percent of the slots that Bulk requests leave free, at least one of two, but never all; 0 is 25, less than 0 is none
}

// Group is a named group of peers that serve one application.
type Group struct {
	name     string
	scheme   string
	protocol Protocol

	peers      atomic.Pointer[[]*Peer] // immutable; replaced under membership
	membership sync.Mutex              // guards all of the next lines
	leaving    []*Peer                 // removed; some of them still have slots in use
	kin        []*Group                // nil once the group is closed, or each would keep the one before

	concurrency       int
	unsupervised      bool
	lives             func(*Peer) bool // nil: it is not known
	probed            bool
	initial           Health
	flights           Flights
	maxRequests       int
	maxRequestsJitter int
	onSpent           func(*Peer)
	runs              *atomic.Uint64 // nil: each peer counts by itself
	onWait            func()
	queue             queue
	bulk              atomic.Int64 // slots that bulk requests have
	budget            budget

	keepalive         int
	keepaliveTimeout  time.Duration
	keepaliveRequests int
	idle              atomic.Int64         // idle connections of all peers
	sweeping          atomic.Bool          // sweep is due some time
	closed            atomic.Bool          // no connection becomes idle any more
	sound             atomic.Pointer[Peer] // that HasSound has found last; nil: none yet
	conns             conns
	tls               *tls.Config  // nil: none
	upgraded          atomic.Int64 // connections that belong to another protocol
	everUpgraded      atomic.Int64
}

// NewGroup returns a group with its peers.
func NewGroup(opts GroupOptions) (*Group, error) {
	if opts.Protocol == nil {
		return nil, errors.New("upstream " + opts.Name + ": wants a protocol")
	}
	g := &Group{
		name: opts.Name, scheme: opts.Scheme, protocol: opts.Protocol,
		flights: opts.Flights, concurrency: opts.Concurrency, unsupervised: opts.Unsupervised,
		probed: opts.Probed, initial: opts.Initial, kin: opts.Kin, maxRequestsJitter: max(opts.MaxRequestsJitter, 0),
		tls: opts.TLS, lives: opts.Lives, onSpent: opts.OnSpent, onWait: opts.OnWait, runs: opts.Runs,
		keepalive: opts.Keepalive, keepaliveTimeout: opts.KeepaliveTimeout, keepaliveRequests: opts.KeepaliveRequests,
	}
	if g.keepaliveTimeout == 0 {
		g.keepaliveTimeout = time.Minute
	}
	if g.keepaliveRequests == 0 {
		g.keepaliveRequests = 1000
	}
	g.queue.init(g, &opts)
	g.budget.limit = opts.Retries
	if opts.OnSpent != nil {
		g.maxRequests = max(opts.MaxRequests, 0)
	}
	peers := make([]*Peer, 0, len(opts.Peers))
	g.peers.Store(&[]*Peer{}) // for a state of kin that is set meanwhile
	for i, peerOpts := range opts.Peers {
		p, err := newPeer(g, peers, i, peerOpts)
		if err != nil {
			for _, made := range peers {
				made.leave()
			}
			return nil, err
		}
		peers = append(peers, p)
	}
	g.peers.Store(&peers)
	return g, nil
}

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// Scheme returns the protocol's name for log lines.
func (g *Group) Scheme() string { return g.scheme }

// Protocol returns the wire language of the peers.
func (g *Group) Protocol() Protocol { return g.protocol }

// Supervised says whether somebody tells what becomes of the processes.
func (g *Group) Supervised() bool { return !g.unsupervised }

// KeepsAlive says whether connections outlive a request.
func (g *Group) KeepsAlive() bool { return g.keepalive > 0 }

// Idle returns the number of idle connections.
func (g *Group) Idle() int64 { return g.idle.Load() }

// Upgraded returns how many connections belong to another protocol now (see Conn.Upgrade), and how many ever did.
func (g *Group) Upgraded() (now, total int64) {
	return g.upgraded.Load(), g.everUpgraded.Load()
}

// Close closes the idle connections and ends all waiting. Leased connections stay with their holders; they are closed at
// Release.
func (g *Group) Close() {
	g.membership.Lock() // nobody is added afterwards
	g.closed.Store(true)
	g.kin = nil
	g.membership.Unlock()
	g.queue.close()
	for _, p := range g.Peers() {
		p.leave()
		p.CloseIdle()
	}
}
