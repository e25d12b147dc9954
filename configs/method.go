package configs

// MethodName is the first word of a Method.
type MethodName string

// The methods, as nginx calls them; round robin has no directive there.
const (
	RoundRobin MethodName = "round_robin"
	LeastConn  MethodName = "least_conn"
	LeastTime  MethodName = "least_time"
	IPHash     MethodName = "ip_hash"
	Hash       MethodName = "hash"
	Random     MethodName = "random"
)

// Method is how the peer for an attempt is chosen.
type Method struct {
	Name       MethodName
	Key        Template // of Hash
	Consistent bool     // Hash: few keys move when a peer is added or removed
	LastByte   bool     // LeastTime: the time to the last byte of a response counts, not that to its head
	Inflight   bool     // LeastTime: requests in flight count as well
	Two        bool     // Random: the better of two
}

// hasBackups says whether the method knows backup peers and slow_start, as in nginx.
func (m *Method) hasBackups() bool {
	return m.Name != Hash && m.Name != IPHash && m.Name != Random
}

// Sticky binds a client to the peer that has answered it, by a cookie. The zero value is off.
type Sticky struct {
	Cookie   string   // its name
	Expires  Duration // how long the client keeps it; 0 is until it is closed
	Domain   string   // empty: the host that was asked
	Path     string   // empty: the folder that was asked
	Secure   bool
	HTTPOnly bool
	SameSite string // strict, lax or none; empty: what the client thinks right
}
