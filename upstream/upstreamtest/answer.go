package upstreamtest

import "strings"

// Field is a header field.
type Field struct{ Name, Value string }

// Request is what a Server got.
type Request struct {
	Method string
	Target string            // path and query; of REQUEST_URI in CGI
	Header []Field           // in the order of arrival; of the HTTP_ variables in CGI, by name, with names in canonical form
	Params map[string]string // CGI's variables, in FastCGI, SCGI and uwsgi; nil in HTTP

	KeepAlive bool // the proxy wants the connection to stay open
	Conn      int  // which of the Server's connections it came on, from 1
	Sequence  int  // which request of that connection it is, from 1

	id     uint16 // FastCGI's request id
	length int    // HTTP's Content-Length, -1 for chunked

	read func() ([]byte, error) // reads the body; nil afterwards
	body []byte
	err  error // of read
}

// Body returns the request's body, nil if it did not arrive whole. The handler's call reads it from the connection; when
// the handler does not call it, the server reads it before it answers, unless the answer's Fault is an early one.
func (r *Request) Body() []byte {
	if r.read != nil {
		r.body, r.err = r.read()
		r.read = nil
	}
	return r.body
}

// Values returns the values of all fields with the name, without regard to case.
func (r *Request) Values(name string) []string {
	var values []string
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

// Answer is what a Server does with a request.
type Answer struct {
	Status     int     // 0 is 200
	Header     []Field // in this order; framing fields are added
	Body       []byte
	Undeclared bool            // no Content-Length: chunked in HTTP; in SCGI and uwsgi the body ends with the connection
	Stderr     string          // what the process writes to its standard error first; FastCGI only
	Gate       <-chan struct{} // not nil: the second half of the body, or the Fault in the body, waits until it is closed
	Fault      Fault

	// Raw is sent as it is instead of all above but Gate and Fault, for what only one language can say wrong; then the
	// connection is closed, or with the Fault HangInBody left as it is. nil: there is no such thing.
	Raw []byte
}

// Fault is how a peer goes wrong. A peer that refuses connections is a Server after Close.
type Fault uint8

// The faults.
const (
	None            Fault = iota
	Silent                // takes the request and never answers
	HangInHead            // sends half of the head, then nothing
	HangInBody            // sends the head and half of the body, then nothing
	CloseBeforeHead       // closes instead of answering
	CloseInHead           // closes after half of the head
	CloseInBody           // closes after half of the body
	ResetBeforeHead       // resets the connection instead of answering
	ResetInBody           // resets after half of the body
	Garbage               // sends bytes that are no answer in its language
	HugeHead              // sends a head of 64 KB
	ByteByByte            // sends every byte by itself
	Trickle               // sends a byte, waits a moment, sends the next
	LongBody              // sends more than it declared
	ShortBody             // sends less than it declared, and ends the response
	CloseAfter            // closes after the response, although the connection was to stay open
	StrayBytes            // sends more after the response, on a connection that stays open
	EarlyAnswer           // answers before it reads the request's body, which it then drops
	EarlyClose            // answers without reading the request's body, and closes, as uWSGI does
)

// String returns the fault's name in words.
func (f Fault) String() string {
	names := [...]string{
		"none", "silent", "hang in head", "hang in body", "close before head", "close in head", "close in body",
		"reset before head", "reset in body", "garbage", "huge head", "byte by byte", "trickle", "long body", "short body",
		"close after", "stray bytes", "early answer", "early close",
	}
	if int(f) >= len(names) {
		return "unknown"
	}
	return names[f]
}
