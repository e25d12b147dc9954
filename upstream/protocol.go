package upstream

import (
	"io"
	"iter"

	"github.com/valyala/fasthttp"
)

// Protocol is a wire language: http, fastcgi, scgi or uwsgi. One value serves all connections of a group at once, so it
// keeps what belongs to a connection in Conn.State. Errors are *Error.
type Protocol interface {
	// Send writes the request. A peer may answer before it has read the whole body and close: after a Failed error of
	// the phase Sending, Receive may still find the answer.
	Send(c *Conn, req *Request) error
	// Receive reads the head of the response and fills resp.
	Receive(c *Conn, resp *Response) error
}

// Field is one header field, whose name is a token, or one CGI variable.
type Field struct{ Name, Value []byte }

// Request is what a protocol sends. Everything in it is borrowed from the exchange and valid until the attempt ends; a
// Protocol changes nothing in it, because a retry sends it again.
type Request struct {
	Method []byte // as the client sent it
	Target []byte // path and query, the HTTP request-target in origin-form; as the client sent them if nothing has changed them
	Asked  []byte // path and query as the client sent them, nginx's $request_uri; nil: Target
	Path   []byte // decoded and normalised path, nginx's $uri
	Query  []byte // without the question mark, as sent

	Header *fasthttp.RequestHeader   // the client's fields, without hop-by-hop fields; names are in canonical form
	Fields iter.Seq2[[]byte, []byte] // Header.All(), if the caller has it already: making it allocates; see Each
	Set    []Field                   // replace fields of the same name; an empty value removes (nginx's proxy_set_header)

	Body       io.Reader // positioned at its start; nil when BodyLength is 0 or Bytes has it
	Bytes      []byte    // the whole body, when it is in memory
	BodyLength int64     // bytes; 0 without a body; -1 unknown (request_buffering off and a chunked request)

	// Upgrade are the protocols that the client would switch to, as the value of an Upgrade field (RFC 9110, section 7.8);
	// empty: none. Only HTTP asks for them.
	Upgrade []byte

	Trailers bool // the client takes fields behind a chunked body, so the peer may send some; only HTTP has them

	Params []Field // CGI variables from the configuration, expanded; they replace computed ones of the same name

	Proto                  []byte // HTTP/1.0 or HTTP/1.1, as the client spoke
	Scheme                 string // http or https, the client's side
	RemoteAddr, RemotePort string // the client
	ServerAddr, ServerPort string // the listener's side of the client's connection
	ServerName             string // the server's first configured name
}

// Each calls visit with the name and the value of each of the client's fields, in their order.
func (r *Request) Each(visit func(name, value []byte) bool) {
	if r.Fields != nil {
		r.Fields(visit)
		return
	}
	r.Header.All()(visit)
}

// Response is what a protocol received. The caller sets the first group; Receive sets the second.
type Response struct {
	Header *fasthttp.ResponseHeader // filled through AddField and SetStatus
	Buf    []byte                   // nginx's buffer_size: the head must fit; kept by the caller until the attempt ends
	Head   bool                     // the request's method was HEAD: there is no body, whatever the head says
	// Upgrade is the request's: a 101 may choose one of its protocols; empty: it is Invalid.
	Upgrade []byte
	// Early gets the fields of a 103 (RFC 8297) that may go further, the hidden ones too, valid until it returns. Trailer gets each
	// field behind a chunked body that may stand there, when the body has ended. nil: they are dropped.
	Early   func(fields []Field)
	Trailer func(name, value []byte)
	// Field gets each field that may go further, the hidden ones too, and adds it to Header if it is to; the slices are valid
	// until it returns. nil adds those that are not Hidden.
	Field  func(name, value []byte)
	Stderr func(line []byte) // gets what a FastCGI process wrote to its standard error; nil drops it

	Length   int64     // declared length of the body in bytes, -1 when the peer did not say
	Prefix   []byte    // body bytes that came with the head, decoded; they lie in Buf
	Complete bool      // Prefix is the whole body; Body is nil
	Body     io.Reader // the rest of the body after Prefix; io.EOF is its true end, everything else an *Error
	Plain    bool      // nothing but the rest of the body is to be read: when the connection is Readable, a Read of Body does not wait
	Reusable bool      // the connection can carry another request; valid when Complete, or after Body's io.EOF

	// Switched says that the peer has answered 101: from its head on the connection belongs to one of the protocols in Upgrade.
	// Prefix has what came with the head; there is no Body, and the connection is not Reusable.
	Switched bool

	Excess bool // the peer sent more body than it had declared (nginx warns of it); the rest was not read

	named []byte // what the response's Connection field names, comma separated; see AddField
}

// Reset prepares r for another attempt; the fields that the caller sets are kept.
func (r *Response) Reset() {
	r.Length, r.Prefix, r.Complete, r.Body, r.Reusable, r.named = -1, nil, false, nil, false, r.named[:0]
	r.Excess, r.Switched, r.Plain = false, false, false
}
