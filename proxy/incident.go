package proxy

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
)

// An exchange in which something has failed is an incident: it gets an id, which is in its lines of the error log from then
// on, in the access log, and in what the client gets, if that is a 5xx. An exchange without a failure has none and costs
// nothing.

// WhyField is the field of a response with the id of its incident.
const WhyField = "X-Spillway-Why"

// Incidents gives ids to incidents. One does for a process, so that no id is given twice.
type Incidents struct {
	start uint64
	given atomic.Uint64
}

// NewIncidents returns Incidents that begin anywhere, so that the ids of two runs of the program are not the same ones.
func NewIncidents() *Incidents { return &Incidents{start: rand.Uint64()} }

const (
	// idDigits are Crockford's base 32, in lower case: none of them looks like another one.
	idDigits = "0123456789abcdefghjkmnpqrstvwxyz"
	idLength = 8

	// idStep is odd, so that its multiples meet each number of 40 bits once; it is near the golden section of them, so that
	// ids that follow each other differ in their first digits.
	idStep = 0x9E3779B97F
)

// next returns another id.
func (i *Incidents) next() string {
	n := i.start + i.given.Add(1)*idStep
	var id [idLength]byte
	for at := range id {
		id[at] = idDigits[n>>(5*(idLength-1-at))&31]
	}
	return string(id[:])
}

// CleanID returns an id as it was given, from what somebody has typed who was told it: in capitals, with an o for a zero, an
// i or l for a one, with dashes or spaces in it. It is "" when that is no id.
func CleanID(typed string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r == '-' || r == ' ':
			return -1
		}
		switch r {
		case 'o':
			return '0'
		case 'i', 'l':
			return '1'
		}
		return r
	}, typed)
	if len(id) != idLength || strings.Trim(id, idDigits) != "" {
		return ""
	}
	return id
}

// Scene is an upstream as it was when an exchange met its first failure.
type Scene struct {
	Waiting int         `json:"waiting"` // requests that waited
	Queue   int         `json:"queue"`   // that may
	Peers   []ScenePeer `json:"peers"`

	// Unresolved are the host names among its peers that stood for nobody, each with the reason: "app.example:80: host not found".
	Unresolved []string `json:"unresolved,omitempty"`
}

// ScenePeer is one of its peers.
type ScenePeer struct {
	Address  string `json:"address"`
	State    string `json:"state"` // up, down, coming, away or disabled, as on the status page; spare: a port that no process has
	Inflight int64  `json:"inflight"`
}

// Incident makes the exchange an incident. The first call gives it an id, unless the front gives none. Whoever logs a failure
// calls it before; any goroutine may.
func (ex *Exchange) Incident() {
	if ex.front == nil || ex.front.incidents == nil || ex.why.Load() != nil {
		return
	}
	id := ex.front.incidents.next()
	ex.why.CompareAndSwap(nil, &id)
}

// Why returns the id of the incident; "" when the exchange is none.
func (ex *Exchange) Why() string {
	if id := ex.why.Load(); id != nil {
		return *id
	}
	return ""
}

// Told returns the id for the client: of a response that is a 5xx, and if the front tells clients.
func (ex *Exchange) Told() string {
	if ex.Status() < http.StatusInternalServerError || ex.front == nil || ex.front.hideWhy {
		return ""
	}
	ex.Incident()
	return ex.Why()
}

// maxStderr is what is kept of what a process has sent in FastCGI's stderr: the end of a traceback.
const maxStderr = 2 << 10

// AddStderr keeps what the peer has sent in FastCGI's stderr, the last of it.
func (ex *Exchange) AddStderr(text []byte) {
	ex.Stderr = append(ex.Stderr, text[max(0, len(text)-maxStderr):]...)
	if excess := len(ex.Stderr) - maxStderr; excess > 0 {
		ex.Stderr = ex.Stderr[:copy(ex.Stderr, ex.Stderr[excess:])]
	}
}
