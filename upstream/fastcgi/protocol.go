package fastcgi

import (
	"sync"

	"spillway/upstream"
	"spillway/upstream/cgi"
)

// Options describe how the requests of a location are sent.
type Options struct {
	Params cgi.Params
	// KeepConn asks the peer to leave the connection open, nginx's fastcgi_keep_conn; without it the peer closes and no
	// connection is Reusable. A peer that serves one connection at a time is blocked by one that idles.
	KeepConn bool
}

// Protocol is FastCGI as upstream.Protocol; any number of goroutines may use it at once.
type Protocol struct {
	params   cgi.Params
	keepConn bool
	requests sync.Pool // of *request
}

// New returns the protocol.
func New(opts Options) *Protocol {
	return &Protocol{params: opts.Params, keepConn: opts.KeepConn}
}

// Send writes the request. When it cannot become CGI variables, the error's Err is cgi.ErrUnsafeScript or
// cgi.ErrBodyLength, and nothing was sent. When the peer answers before it has the whole body, Receive and reads of the
// response's Body send the rest.
func (p *Protocol) Send(c *upstream.Conn, req *upstream.Request) error {
	c.Phase = upstream.Sending
	a := answerOf(c)
	upstream.Uses(c, a)
	a.protocol = p
	a.dropRequest()
	r, _ := p.requests.Get().(*request)
	if r == nil {
		r = &request{buf: make([]byte, 0, requestSize)}
	}
	a.request, a.sent = r, false
	done, err := r.send(p, c, req)
	if done || err != nil {
		a.sent = err == nil
		a.dropRequest()
	}
	return c.Answered(err)
}

// Receive reads the head of the response and what of its body came with it.
func (p *Protocol) Receive(c *upstream.Conn, resp *upstream.Response) error {
	c.Phase = upstream.ReadingHead
	a := answerOf(c)
	a.begin(c, resp)
	err := a.readHead()
	if err != nil || resp.Complete {
		a.release()
	}
	return err
}

// put keeps a request's memory for another one, unless it is that of a request with huge fields.
func (p *Protocol) put(r *request) {
	r.body.Drop()
	if cap(r.buf) <= 4*requestSize {
		p.requests.Put(r)
	}
}

// answerOf returns the state of a connection, which lives as long as the connection's memory.
func answerOf(c *upstream.Conn) *answer {
	a, ok := c.State.(*answer)
	if !ok {
		a = &answer{}
		c.State = a
	}
	return a
}
