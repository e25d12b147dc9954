package cgi

import (
	"sync"

	"spillway/upstream"
)

// OneShot is a wire language that carries one request on a connection: the variables in one block, the body behind it as it
// is, and an answer without framing. SCGI and uwsgi are such languages; they differ in the block. As upstream.Protocol it may
// be used by any number of goroutines at once. No connection is Reusable.
type OneShot struct {
	params   Params
	block    Block
	requests sync.Pool // of *outgoing
}

// Block appends the variables of a request, CONTENT_LENGTH the first of them, to dst as the language has them. An error is
// one of Refuse's, for a request that the language cannot carry.
type Block func(dst []byte, vars *Vars) ([]byte, error)

// NewOneShot returns the language that has this block.
func NewOneShot(params Params, block Block) *OneShot { return &OneShot{params: params, block: block} }

// Send writes the request. When it cannot become CGI variables, or not such of the language, the error has a Status and
// nothing was sent. When the peer answers before it has the whole body, Receive and reads of the response's Body send the
// rest.
func (p *OneShot) Send(c *upstream.Conn, req *upstream.Request) error {
	c.Phase = upstream.Sending
	a := incomingOf(c)
	a.dropRequest()
	o, _ := p.requests.Get().(*outgoing)
	if o == nil {
		o = &outgoing{buf: make([]byte, 0, requestSize)}
	}
	a.protocol, a.request = p, o
	done, err := o.send(p, c, req)
	if done || err != nil {
		a.dropRequest()
	}
	return c.Answered(err)
}

// Receive reads the head of the answer and what of its body came with it.
func (p *OneShot) Receive(c *upstream.Conn, resp *upstream.Response) error {
	c.Phase = upstream.ReadingHead
	a := incomingOf(c)
	a.begin(c, resp)
	err := a.readHead()
	if err != nil || resp.Complete {
		a.release()
	}
	return err
}

// put keeps a request's memory for another one, unless it is that of a request with huge fields.
func (p *OneShot) put(o *outgoing) {
	o.body.Drop()
	if cap(o.buf) <= 4*requestSize {
		p.requests.Put(o)
	}
}

// incomingOf returns the state of a connection, which lives as long as the connection's memory.
func incomingOf(c *upstream.Conn) *incoming {
	a, ok := c.State.(*incoming)
	if !ok {
		a = &incoming{}
		c.State = a
	}
	return a
}
