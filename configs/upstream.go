package configs

// Protocol is a wire language.
type Protocol string

// The protocols that can be spoken to a peer.
const (
	HTTP    Protocol = "http"
	FastCGI Protocol = "fastcgi"
	SCGI    Protocol = "scgi"
	UWSGI   Protocol = "uwsgi"
)

// Upstream is a named group of peers that serve one application. It has either Peers or a Backend.
type Upstream struct {
	Name     string
	Kind     string // one of kinds, whose preset filled what was not written; empty is generic, which fills nothing
	Protocol Protocol
	Method   Method
	Sticky   Sticky

	Concurrency int         // requests in flight at one peer; 0 is no limit; of this and MaxConns the smaller one counts
	Queue       Queue       // where requests wait for a slot
	PoisonGuard PoisonGuard // against requests that end one process after the other; zero is off
	RetryBudget RetryBudget // of all its requests together; zero is off
	HoldTimeout Duration    // how long a request waits for a process that is about to be ready, or for the first address of a name; 0 is not at all

	TLS         TLS    // of the connections to the peers
	HTTPVersion string // 1.0 or 1.1 of requests to peers; with 1.0 no connection is kept and no body goes in chunks

	Keepalive         int      // idle connections kept for all peers together; 0 closes each after its request
	KeepaliveTimeout  Duration // an idle connection is closed then
	KeepaliveRequests int      // a connection is closed after so many requests

	// What a peer has that does not say it itself; the processes of a backend have these.
	MaxFails    int      // failures within FailTimeout until a peer is passed over; 0 never
	FailTimeout Duration // also how long it is passed over then
	MaxConns    int      // requests in flight at one peer; 0 is no limit
	SlowStart   Duration // for how long the share of a peer grows that is usable again; 0 is not at all

	Health *Health // nil: peers are not probed
	// Script is what the requests that spillway makes by itself need of the settings: those of the upstream and the top level, since
	// no location asks. Zero where there are no such requests.
	Script Script

	Peers   []Peer   // empty with a Backend
	Backend *Backend // nil with Peers

	Places Places
}

// defaultPort is that of peers without one, "" where there is none.
func (u *Upstream) defaultPort() string {
	switch {
	case u.Protocol != HTTP:
		return ""
	case u.TLS.On:
		return "443"
	default:
		return "80"
	}
}

// Queue is where requests wait when every peer has as many as it may have. The zero value is off: they are refused.
type Queue struct {
	Length  int      // requests that wait at once, those that are held included; further ones are refused
	Timeout Duration // a request that has not got a slot then is refused

	PerClient int // requests of one client that wait at once, further ones are refused; 0 is no limit
	Reserve   int // percent of the slots that bulk requests leave free, at least one slot of two; 0 is none
}

// Lane says how urgent the requests of a location are.
type Lane string

// The lanes; a location with LaneAuto finds its own by the time that its requests take.
const (
	LaneExpress Lane = "express"
	LaneNormal  Lane = "normal"
	LaneBulk    Lane = "bulk"
	LaneAuto    Lane = "auto"
)

// RetryBudget bounds the attempts that send a request again: Percent of the requests of the last ten seconds, and at least Min a
// second.
type RetryBudget struct {
	Percent int
	Min     int
}

// PoisonGuard refuses requests that have ended Kills processes, for as long as Hold.
type PoisonGuard struct {
	Kills int
	Hold  Duration
}

// Peer is one address of an upstream that spillway does not own, or a host name that stands for some.
type Peer struct {
	Network string // for net.Dial: tcp or unix
	Address string // for net.Dial: host and port, or the path of the socket; with a Service the host alone

	Host    string // localhost, as it was written, when Address has 127.0.0.1 for it: what a certificate is for; else empty
	Name    string // the host in Address, when it is a name: each of its addresses is a peer; else empty
	Port    uint16 // of these
	Service string // of the SRV records that have the ports and weights; empty for addresses (A and AAAA)
	Resolve bool   // the name is resolved again and again, by the TTL of the answers; else once

	Weight int // share of the requests, from 1

	MaxFails    int
	FailTimeout Duration
	MaxConns    int
	SlowStart   Duration

	Backup bool // asked only when all others are out
	Down   bool // never asked
	Drain  bool // asked only by clients that are bound to it

	Places Places
}
