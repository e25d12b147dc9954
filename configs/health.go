package configs

// Health is how the peers of an upstream are probed.
type Health struct {
	Probe ProbeKind
	Path  string // of a request: begins with a slash, may have a query
	Host  string // its Host field; empty is the address of the peer

	Interval Duration // between two probes of a peer
	Timeout  Duration // a probe that takes longer has failed
	Fails    int      // failures in a row that put a peer out of use
	Passes   int      // successes in a row that bring it back
	Match    Match

	Mandatory bool // a peer gets no requests before its first success
	Restart   bool // a process of a backend that is out of use is replaced

	Places Places
}

// ProbeKind is what a probe does.
type ProbeKind string

// The kinds of probes.
const (
	ProbeRequest ProbeKind = "request" // a GET in the protocol of the upstream
	ProbeTCP     ProbeKind = "tcp"     // a connection that is closed at once
)

// Match says which answer to a probe is a success.
type Match struct {
	Status []StatusRange // one of them
	Body   string        // is in the first 64 KiB of the body
	Header []Field       // all of them
}

// StatusRange is a range of statuses; both ends are in it.
type StatusRange struct{ First, Last int }
