package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/upstream/socket"
)

// Exchange is one request and its response, from the moment its head was parsed until Finish. One goroutine at a time
// works on it, apart from MarkGone. Byte slices are borrowed from the connection and valid until Finish.
type Exchange struct {
	// The request. The front that accepted it fills this block before Serve.
	Request    *fasthttp.RequestHeader // fields; names are in canonical form
	Method     []byte
	Target     []byte    // the request-target in origin-form, as the client sent it: nginx's $request_uri
	Path       []byte    // decoded and normalised: nginx's $uri
	Query      []byte    // without the question mark: nginx's $args
	Proto      []byte    // HTTP/1.0 or HTTP/1.1
	Host       []byte    // lower case, without port and final dot: nginx's $host
	Body       io.Reader // the request body as it arrives; nil without one
	BodyLength int64     // declared length of the body, 0 without one, -1 when it is chunked
	Upgrade    []byte    // protocols that the client would switch to, as an Upgrade field has them; empty: none
	Trailers   bool      // the client takes fields behind a chunked body (TE: trailers)
	HeadBytes  int       // length of the request's head as received
	Start      time.Time // when the head had been read

	// Task is what works on the exchange; nil: a goroutine of its own. Before anything waits for something else than the exchange's
	// sockets, it leaves.
	Task *socket.Task

	// Interim sends a whole interim response (RFC 9110, section 15.2), which Serve may call before it returns; what is wrong with
	// the connection shows later. nil: the client takes none.
	Interim func(head []byte)

	// The connection of the client.
	Scheme     string               // http or https
	TLS        *tls.ConnectionState // nil: the client speaks plain HTTP
	RemoteAddr string               // nginx's $remote_addr: without port; "unix:" for a unix socket
	RemotePort string
	ServerAddr string // the address that the client connected to
	ServerPort string
	Conn       uint64 // number of the connection, the *N of nginx's error log
	ConnServed int    // requests on this connection, this one included

	// Set by Serve.
	Route *Route // the location that matched
	ID    string // 32 hexadecimal digits, nginx's $request_id; made when first asked for, see RequestID

	// The response. Handlers fill it; the front sends it.
	Response    *fasthttp.ResponseHeader
	Content     Content // the body; nil: Bytes is the body
	Bytes       []byte
	Length      int64  // of Content in bytes, -1 when it is not known before its end
	Trailer     []byte // field lines for behind the body, if it is sent in chunks; set before Content.WriteTo returns
	CloseClient bool   // the client's connection is not used again
	LimitRate   int64  // of Content in bytes per second; 0 is no limit. nginx's limit_rate, or what a peer says; see Limit
	LimitAfter  int64  // bytes of Content that do not count for LimitRate: nginx's limit_rate_after

	// The record that the access log and the metrics read in Finish.
	Upstream      string        // name of the group, "" when none was asked
	Attempts      []Attempt     // in order
	Queued        time.Duration // spent waiting for a slot or a process; 0: it did not wait
	Cause         Cause         // why the status is a 5xx or 499 of ours
	Failure       error         // what happened then; nil when there is no more to say
	BytesSent     int64         // to the client, head included; set before Finish
	BodyBytesSent int64         // to the client, framing not included; set before Finish
	RequestBytes  int64         // of the request body that were read
	Spilled       int64         // bytes of the response that went through the spill file
	Truncated     bool          // the response was cut after its head had been sent
	Scene         *Scene        // of the upstream at the first failure; nil: there was none
	Killed        []uint64      // processes that requests like this one have ended, for which it was refused; as Attempt.Run
	Stderr        []byte        // the last of what the peers have sent in FastCGI's stderr; see AddStderr
	End           time.Time     // set by Finish

	Text []byte // memory for whoever makes a text about the exchange, until the next one does; kept by Reset

	fields   iter.Seq2[[]byte, []byte] // of fieldsOf; kept by Reset
	fieldsOf *fasthttp.RequestHeader

	forward []byte // see PeerTarget
	hop     hop

	front    *Front
	finished bool
	panics   atomic.Int32
	why      atomic.Pointer[string] // the id of the incident; nil: it is none
	gone     gone
}

// Attempt is the record of one try of an exchange on one peer. Times are -1 when that point was not reached.
type Attempt struct {
	Upstream     string        // name of the group
	Peer         string        // address; the group's name when no peer was usable
	Index        int           // of the peer in its group, by upstream.Peer.Index
	Hop          int           // how many internal redirects came before
	Run          uint64        // the peer's process, by upstream.Peer.Runs; 0: there was none
	Began        time.Time     // when the peer was chosen
	Status       int           // of the peer's response, 502 or 504 for a failed attempt, as nginx's $upstream_status
	Connect      time.Duration // until the connection was there
	Head         time.Duration // until the response head was there
	Response     time.Duration // until the last byte of the response
	Received     int64         // bytes from the peer
	ReceivedBody int64         // of those, the bytes of the response body
	Phase        string        // in which it failed, in nginx's words; "" when it did not
	Err          error         // why it failed; nil when it did not
}

// Cause is why spillway itself answered with an error, for the metrics' label.
type Cause string

// The causes of errors of our own.
const (
	NoCause          Cause = ""
	CauseRefused     Cause = "refused"
	CauseFailed      Cause = "failed" // reset, closed early
	CauseTimeout     Cause = "timeout"
	CauseInvalid     Cause = "invalid_response"
	CauseNoPeers     Cause = "no_live_upstreams"
	CauseQueueFull   Cause = "queue_full"        // as many requests waited as may
	CauseClientFull  Cause = "client_queue_full" // as many requests of the client waited as may
	CauseNoSlot      Cause = "no_slot"           // all slots stayed in use
	CauseNoProcess   Cause = "no_process"        // no process became ready
	CauseStuck       Cause = "process_stuck"     // the busy timeout
	CauseDeadline    Cause = "deadline"
	CausePoison      Cause = "poison" // the request ends processes, or hangs in all
	CauseClientGone  Cause = "client_gone"
	CauseRequestBody Cause = "request_body"
	CauseInternal    Cause = "internal"
)

// Handler fills the response of an exchange; an error becomes an error page.
type Handler interface {
	Serve(ex *Exchange) error
}

// Content is a response body. WriteTo is called at most once, by the front; Read is for what is in between, such as a
// cache. For a response with status 101, which only an exchange with Upgrade may have, WriteTo is the whole life of the tunnel:
// its writer reads what the client sends as well, see proxy/relay/tunnel.go. Close is called exactly once, with the error that
// ended the sending, and gives everything back.
type Content interface {
	io.Reader
	io.WriterTo
	Close(err error) error
}

// ErrGivenUp is why a tunnel's client can be read no more: its listener is given up.
var ErrGivenUp = errors.New("listener given up")

// Status returns the status of the response.
func (ex *Exchange) Status() int { return ex.Response.StatusCode() }

// Head says that the request's method is HEAD.
func (ex *Exchange) Head() bool { return string(ex.Method) == http.MethodHead }

// Fields iterates over the fields of the request in their order. The iterator is made once for all requests of a
// connection, because making it allocates.
func (ex *Exchange) Fields() iter.Seq2[[]byte, []byte] {
	if ex.fieldsOf != ex.Request {
		ex.fields, ex.fieldsOf = ex.Request.All(), ex.Request
	}
	return ex.fields
}

// Front returns the Front that serves the exchange; nil before Serve.
func (ex *Exchange) Front() *Front { return ex.front }

// Log returns the logger of errors; the exchange itself is the attribute to pass: log.Warn("...", "exchange", ex).
func (ex *Exchange) Log() *slog.Logger { return ex.front.log }

// ServerName returns the first name of the server that the request was for.
func (ex *Exchange) ServerName() string {
	if ex.Route == nil || ex.Route.Site == nil {
		return ""
	}
	return ex.Route.Site.Name
}

// LogValue gives the exchange's part of an error line; the keys are those of style.md and nginx's line is made of them.
func (ex *Exchange) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs,
		slog.Uint64("conn", ex.Conn),
		slog.String("client", ex.RemoteAddr),
		slog.String("server", ex.ServerName()))
	if len(ex.Method) > 0 {
		attrs = append(attrs, slog.String("request", string(ex.AskedMethod())+" "+string(ex.Target)+" "+string(ex.Proto)))
	}
	if ex.Request != nil {
		if host := ex.Request.Host(); len(host) > 0 {
			attrs = append(attrs, slog.String("host", string(host)))
		}
		if referrer := ex.Request.Peek("Referer"); len(referrer) > 0 {
			attrs = append(attrs, slog.String("referrer", string(referrer)))
		}
	}
	if why := ex.Why(); why != "" {
		attrs = append(attrs, slog.String("why", why))
	}
	return slog.GroupValue(attrs...)
}

// gone is how the front tells whoever works for the exchange that the client has left.
type gone struct {
	mu   sync.Mutex // guards both; held while stop runs, so that OnGone(nil) returns only when stop has
	left bool
	stop func()
}

// OnGone sets what is called, once and from another goroutine, when the client leaves; nil takes it back, after which it
// is not running any more. If the client has left already, stop is called at once. stop must not block, nor call OnGone.
func (ex *Exchange) OnGone(stop func()) {
	ex.gone.mu.Lock()
	defer ex.gone.mu.Unlock()
	ex.gone.stop = stop
	if ex.gone.left && stop != nil {
		stop()
	}
}

// MarkGone notes that the client has left; the front calls it, from any goroutine.
func (ex *Exchange) MarkGone() {
	ex.gone.mu.Lock()
	defer ex.gone.mu.Unlock()
	if ex.gone.left {
		return
	}
	ex.gone.left = true
	if ex.gone.stop != nil {
		ex.gone.stop()
	}
}

// Gone says whether the client has left.
func (ex *Exchange) Gone() bool {
	ex.gone.mu.Lock()
	defer ex.gone.mu.Unlock()
	return ex.gone.left
}

// Reset prepares the exchange for the next request; the front calls it after Finish. What only grows is kept.
func (ex *Exchange) Reset() {
	attempts, stderr, text, fields, fieldsOf := ex.Attempts[:0], ex.Stderr[:0], ex.Text, ex.fields, ex.fieldsOf
	*ex = Exchange{} // cleared where it is; one with values in it would be made elsewhere, and copied
	ex.Attempts, ex.Stderr, ex.Text, ex.fields, ex.fieldsOf = attempts, stderr, text, fields, fieldsOf
}
