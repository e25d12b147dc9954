package downstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// h1 is what a connection needs for an exchange. It is recycled, so that none of them allocates.
type h1 struct {
	c         *conn // whose it is at the moment
	ex        proxy.Exchange
	request   fasthttp.RequestHeader
	response  fasthttp.ResponseHeader
	reader    *bufio.Reader // of heads
	parsing   bool          // it has got the head of this request
	body      body
	out       sender
	keepAlive bool // the client wants to go on
	interim   func(head []byte)
	watched   chan struct{} // has an element when the watch has ended

	host, path, target, upgrade []byte // memory of what ex borrows
	spare                       []byte // memory of conn.ahead
}

func newH1() *h1 {
	h := &h1{reader: bufio.NewReaderSize(nil, maxHead), watched: make(chan struct{}, 1)}
	h.interim = h.sendInterim
	return h
}

// lend makes h that of a connection.
func (h *h1) lend(c *conn) {
	h.c, h.out.c, c.h1 = c, c, h
	h.reader.Reset((*headReader)(c))
}

// recycle gives it back, for other connections.
func (h *h1) recycle() {
	l := h.c.l
	h.c.h1, h.c, h.out.c = nil, nil, nil
	h.reader.Reset(nil)
	l.h1s.Put(h)
}

// serve reads a request and makes an exchange of it, has it served, sends the response and finishes it. It says whether the
// connection can go on: not if no request came.
func (c *conn) serve() bool {
	c.parsing = false
	switch err := c.request.Read(c.reader); {
	case errors.Is(err, io.EOF):
		return false
	case err == nil && c.reader.Buffered() > 0:
		err = errParts
		fallthrough
	case err != nil: // what the guard lets through and the parser does not take
		c.adapt()
		c.reject(&proxy.StatusError{Code: fasthttp.StatusBadRequest, Err: err})
		return c.conclude()
	}
	c.adapt()
	front := c.l.opts.Front()
	expects := c.head.expects && c.head.proto == http11
	if err := c.fill(); err != nil {
		c.reject(err)
		return c.conclude()
	}
	if c.plain {
		c.refusePlain()
		return c.conclude()
	}
	if c.ex.BodyLength != 0 && (!expects || c.invites(front)) {
		c.body = body{c: c}
		c.ex.Body = &c.body
	}
	front.Serve(&c.ex)
	return c.conclude()
}

// errParts says that the parser ends the head before the guard does.
var errParts = errors.New("head in two parts")

// invites tells a client that waits for "100 Continue" to send its body, if somebody wants it. If nobody does, the answer is sent
// at once, and the connection ends with it.
func (c *conn) invites(front *proxy.Front) bool {
	if !front.Welcomes(&c.ex) {
		c.ex.CloseClient = true
		return false
	}
	_, _ = c.write(goOn) // what is wrong with the connection, the body's reader finds
	return true
}

var goOn = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// refuse answers what is not even a good head; begun is what came of it.
func (c *conn) refuse(begun []byte, err error) {
	c.request.Reset()
	c.adapt()
	if c.head.tlen > 0 {
		c.ex.Method = begun[:c.head.method]
		c.ex.Target = begun[c.head.target : c.head.target+c.head.tlen]
		c.ex.Proto = c.head.proto.text()
		c.request.SetMethodBytes(c.ex.Method)
	} else {
		c.ex.Method, c.ex.Target, c.ex.Proto = nil, nil, nil
	}
	c.reject(err)
	c.conclude()
	c.at, c.unclean = atEnd, true
}

// reject makes the exchange one that is refused.
func (c *conn) reject(err error) {
	c.logRefusal(err)
	c.l.opts.Front().Refuse(&c.ex, err)
	c.ex.CloseClient = true
}

func (c *conn) logRefusal(err error) {
	c.l.opts.Log.Info("request refused", "exchange", &c.ex, "err", err)
}

// conclude sends the response and finishes the exchange. It says whether the connection can go on.
func (c *conn) conclude() bool {
	more := c.respond()
	c.response.Reset()
	return more && c.drop()
}

// adapt fills in what a fresh exchange has in any case.
func (c *conn) adapt() {
	c.response.SetNoDefaultContentType(true)
	ex, request := &c.ex, &c.request
	ex.Task = c.task
	ex.Request, ex.Response = request, &c.response
	ex.Method, ex.Target, ex.Proto = request.Method(), request.RequestURI(), request.Protocol()
	ex.BodyLength = max(0, c.head.contentLength)
	if c.head.chunked {
		ex.BodyLength = -1
	}
	ex.HeadBytes = c.head.length
	if c.sent = 0; c.head.proto == http11 {
		ex.Trailers, ex.Interim = c.head.trailers, c.interim
	}
	ex.Start = time.Now()
	if ex.Scheme, ex.TLS = "http", nil; c.layer != nil {
		ex.Scheme, ex.TLS = "https", c.layer.state
	}
	ex.RemoteAddr, ex.RemotePort, ex.ServerAddr, ex.ServerPort = c.remoteAddr, c.remotePort, c.serverAddr, c.serverPort
	ex.Conn, ex.ConnServed = c.id, c.served
	c.keepAlive = !request.ConnectionClose()
}

// fill checks what the request is for and fills in the rest: host, target, path and query.
func (c *conn) fill() error {
	ex, h := &c.ex, c.ex.Request
	switch string(ex.Method) {
	case fasthttp.MethodConnect, fasthttp.MethodTrace:
		return refuse(fasthttp.StatusMethodNotAllowed, "method that is never allowed")
	}
	t, err := parseTarget(ex.Target)
	if err != nil {
		return err
	}
	if err := c.setHost(t.authority, h.Host()); err != nil {
		return err
	}
	path, err := appendURI(c.path[:0], t.path)
	if err != nil {
		return err
	}
	c.path = path
	ex.Path, ex.Query, ex.Target = path, t.query, t.rest
	if len(t.rest) == 0 || t.rest[0] != '/' {
		c.target = append(append(c.target[:0], '/'), t.rest...)
		ex.Target = c.target
	}
	if c.head.expects {
		if c.head.proto == http11 && !httpfield.Is(h.Peek(fasthttp.HeaderExpect), "100-continue") {
			return refuse(fasthttp.StatusExpectationFailed, "expectation other than 100-continue")
		}
		h.Del(fasthttp.HeaderExpect) // it has been met
		c.head.expects = false
	}
	if c.head.upgrades {
		c.noteUpgrade(h)
	}
	if c.head.strip {
		proxy.Strip(h, private)
	}
	return nil
}

// setHost sets the host of the exchange. An absolute-form says what Host says too, or one of those that look at them
// would be deceived.
func (c *conn) setHost(authority, field []byte) error {
	if authority != nil {
		host, err := parseHost(c.target[:0], authority)
		if err != nil {
			return err
		}
		c.target = host
		if len(field) == 0 {
			field = authority
		}
	}
	if len(field) == 0 { // HTTP/1.0; the guard has seen to the rest
		if c.head.proto == http11 {
			return errHost()
		}
		return nil
	}
	host, err := parseHost(c.host[:0], field)
	if err != nil {
		return err
	}
	c.host, c.ex.Host = host, host
	if authority != nil && !bytes.Equal(host, c.target) {
		return badRequest("host of the request-target is not that of the host field")
	}
	return nil
}
