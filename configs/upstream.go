package configs

// Protocol is a wire language.
type Protocol string

// The protocols that can be spoken to a peer.
const (
	HTTP    Protocol = "http"
	FastCGI Protocol = "fastcgi"
)

// Method is how the peer for an attempt is chosen.
type Method string

// RoundRobin is nginx's smooth weighted round robin.
const RoundRobin Method = "round_robin"

// Upstream is a named group of peers that serve one application. It has either Peers or a Backend.
type Upstream struct {
	Name     string
	Protocol Protocol
	Method   Method

	Keepalive         int      // idle connections kept for all peers together; 0 closes each after its request
	KeepaliveTimeout  Duration // an idle connection is closed then
	KeepaliveRequests int      // a connection is closed after so many requests

	// What a peer has that does not say it itself; the processes of a backend have these.
	MaxFails    int      // failures within FailTimeout until a peer is passed over; 0 never
	FailTimeout Duration // also how long it is passed over then
	MaxConns    int      // requests in flight at one peer; 0 is no limit

	Peers   []Peer   // empty with a Backend
	Backend *Backend // nil with Peers

	Places Places
}

// Peer is one address of an upstream that spillway does not own.
type Peer struct {
	Network string // for net.Dial: tcp or unix
	Address string // for net.Dial: host and port, or the path of the socket
	Weight  int    // share of the requests, from 1

	MaxFails    int
	FailTimeout Duration
	MaxConns    int

	Backup bool // asked only when all others are out
	Down   bool // never asked

	Places Places
}

// Backend is the program of an upstream that spillway starts and keeps alive.
type Backend struct {
	Command   []string // program and arguments; {port} stands for the port of the process
	Directory string   // absolute working folder; a program written with a separator is relative to it
	Env       []Field  // added to spillway's environment; {port} as in Command
	Processes int      // running copies
	Ports     []int    // at least one for each process; nil lets the system choose (auto)

	Ready       Ready
	StopTimeout Duration // a process that has not ended then is killed
	BackoffMin  Duration // before the first restart of a process that ended
	BackoffMax  Duration // the pause doubles up to this

	Places Places
}

// Ready says when a started process may get requests.
type Ready struct {
	Path    string   // answers 2xx or 3xx to GET; empty: the port accepts a connection
	Timeout Duration // a process that is not ready then is started anew

	Places Places
}
