package why

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"spillway/proxy"
)

// Record is a finished exchange in which something has failed. Lengths of time are seconds; what was not reached or did not
// happen is missing.
type Record struct {
	ID        string      `json:"id"`
	Time      time.Time   `json:"time"` // when the request's head had been read
	Took      float64     `json:"took"` // until the last byte of the response
	Exchange  uint64      `json:"exchange"`
	Client    string      `json:"client"`
	Request   string      `json:"request"` // its first line
	Host      string      `json:"host,omitempty"`
	Server    string      `json:"server,omitempty"`
	Location  string      `json:"location,omitempty"`
	Upstream  string      `json:"upstream,omitempty"`
	Status    int         `json:"status"`
	Cause     proxy.Cause `json:"cause,omitempty"`
	Failure   string      `json:"failure,omitempty"` // what happened, when it was not an attempt
	Truncated bool        `json:"truncated,omitempty"`
	Queued    float64     `json:"queued,omitempty"`
	Bytes     int64       `json:"bytes"` // to the client, head included
	Body      int64       `json:"request_bytes,omitempty"`
	Spilled   int64       `json:"spilled,omitempty"`
	Stderr    string      `json:"stderr,omitempty"` // the last of FastCGI's
	Attempts  []Attempt   `json:"attempts,omitempty"`

	Scene *proxy.Scene `json:"scene,omitempty"` // of the upstream at the first failure

	killed []uint64 // see Report.Killed
}

// Attempt is one try of it on one peer.
type Attempt struct {
	Peer     string   `json:"peer"` // address; the name of the upstream when no peer was there to try
	After    float64  `json:"after"`
	Status   int      `json:"status,omitempty"`
	Phase    string   `json:"phase,omitempty"` // in which it failed, in nginx's words
	Error    string   `json:"error,omitempty"`
	Connect  float64  `json:"connect,omitempty"` // since the attempt began, as the next two
	Head     float64  `json:"head,omitempty"`
	Response float64  `json:"response,omitempty"`
	Bytes    int64    `json:"bytes"`             // from the peer
	Process  *Process `json:"process,omitempty"` // what became of it until now; missing when it is none of ours, or long gone

	// Output are the lines that the process wrote while it had the request, and for other requests at that time.
	Output []string `json:"output,omitempty"`

	run uint64
}

// maxText bounds each text of a record; it is the length of a line in nginx's error log.
const maxText = 2048

// newRecord copies what is to be kept of an exchange.
func newRecord(ex *proxy.Exchange) *Record {
	r := &Record{
		ID: ex.Why(), Time: ex.Start, Took: seconds(ex.End.Sub(ex.Start)), Exchange: ex.Conn, Client: ex.RemoteAddr,
		Request: requestLine(ex), Host: text(ex.Host), Server: ex.ServerName(), Upstream: failedUpstream(ex),
		Status: ex.Status(), Cause: ex.Cause, Truncated: ex.Truncated, Queued: seconds(ex.Queued),
		Bytes: ex.BytesSent, Body: ex.RequestBytes, Spilled: ex.Spilled, Stderr: text(ex.Stderr),
		Attempts: make([]Attempt, len(ex.Attempts)), Scene: ex.Scene, killed: ex.Killed,
	}
	if ex.Route != nil {
		r.Location = ex.Route.Path
	}
	for i := range ex.Attempts {
		r.Attempts[i] = newAttempt(&ex.Attempts[i], ex.Start)
	}
	if failed := r.lastError(); failed == "" && ex.Failure != nil {
		r.Failure = text(ex.Failure.Error())
	}
	return r
}

// failedUpstream is the upstream that has failed first: another one may have sent the error page.
func failedUpstream(ex *proxy.Exchange) string {
	for i := range ex.Attempts {
		if a := &ex.Attempts[i]; a.Err != nil || a.Status >= http.StatusInternalServerError {
			return cmp.Or(a.Upstream, ex.Upstream)
		}
	}
	return ex.Upstream
}

func newAttempt(a *proxy.Attempt, start time.Time) Attempt {
	made := Attempt{
		Peer: a.Peer, After: seconds(a.Began.Sub(start)), Status: a.Status, Phase: a.Phase,
		Connect: seconds(a.Connect), Head: seconds(a.Head), Response: seconds(a.Response), Bytes: a.Received, run: a.Run,
	}
	if a.Err != nil {
		made.Error = text(a.Err.Error())
	}
	return made
}

// lastError is that of the last attempt.
func (r *Record) lastError() string {
	if len(r.Attempts) == 0 {
		return ""
	}
	return r.Attempts[len(r.Attempts)-1].Error
}

// requestLine is the first line of the request, as in the logs; "" when it was not even that.
func requestLine(ex *proxy.Exchange) string {
	if len(ex.AskedMethod()) == 0 {
		return ""
	}
	return text(string(ex.AskedMethod()) + " " + string(ex.Target) + " " + string(ex.Proto))
}

// text copies as much of a text as is kept.
func text[T string | []byte](t T) string { return string(t[:min(len(t), maxText)]) }

// seconds is a length of time to the microsecond; 0 for what was not reached.
func seconds(d time.Duration) float64 { return max(0, d.Round(time.Microsecond).Seconds()) }

// The memory of a record, of each attempt and of each peer of its scene, besides their texts.
const (
	recordSize  = 512
	attemptSize = 192
	peerSize    = 48
)

func (r *Record) size() int64 {
	n := recordSize + len(r.Request) + len(r.Host) + len(r.Failure) + len(r.Stderr)
	for i := range r.Attempts {
		n += attemptSize + len(r.Attempts[i].Error) + linesSize(r.Attempts[i].Output)
	}
	if r.Scene != nil {
		n += peerSize*len(r.Scene.Peers) + linesSize(r.Scene.Unresolved)
	}
	return int64(n)
}

// why is the error of the last attempt that failed, or what else happened.
func (r *Record) why() string {
	for i := range slices.Backward(r.Attempts) {
		if text := r.Attempts[i].Error; text != "" {
			return text
		}
	}
	return r.Failure
}
