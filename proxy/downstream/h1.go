package downstream

import (
	"bytes"
	"errors"
	"time"

	"github.com/valyala/fasthttp"

	"spillway/proxy"
	"spillway/proxy/httpfield"
)

// h1 is what a connection keeps for its exchanges, one after the other, so that none of them allocates.
type h1 struct {
	ex        proxy.Exchange
	body      body
	out       sender
	keepAlive bool // the client wants to go on
	interim   func(head []byte)

	host, path, target, upgrade []byte // memory of what ex borrows
}

// serve is fasthttp's handler: it makes an exchange of a parsed head, has it served, sends the response and finishes it.
func (l *Listener) serve(ctx *fasthttp.RequestCtx) {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		panic("downstream: request on a connection of somebody else")
	}
	c.adapt(&ctx.Request.Header, &ctx.Response.Header)
	if c.ex.BodyLength != 0 {
		c.body = body{c: c, stream: ctx.RequestBodyStream()}
		c.ex.Body = &c.body
	}
	front := l.opts.Front()
	if err := c.fill(); err != nil {
		c.logRefusal(err)
		front.Refuse(&c.ex, err)
		c.ex.CloseClient = true
	} else {
		front.Serve(&c.ex)
	}
	c.conclude(ctx)
}

// expect is fasthttp's handler for a client that waits for "100 Continue": it lets the client send its body only if
// somebody wants it; otherwise the answer is sent at once, and what fasthttp makes of the status is not.
func (l *Listener) expect(ctx *fasthttp.RequestCtx) int {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		panic("downstream: request on a connection of somebody else")
	}
	c.adapt(&ctx.Request.Header, &ctx.Response.Header)
	front := l.opts.Front()
	if err := c.fill(); err != nil {
		c.logRefusal(err)
		front.Refuse(&c.ex, err)
	} else if front.Welcomes(&c.ex) {
		return fasthttp.StatusContinue
	} else {
		front.Serve(&c.ex)
	}
	c.ex.CloseClient = true
	c.conclude(ctx)
	return fasthttp.StatusExpectationFailed
}

// fail is fasthttp's error handler. Little comes here: what the guard lets through and fasthttp does not take, and
// bodies of which not even the first byte came.
func (l *Listener) fail(ctx *fasthttp.RequestCtx, err error) {
	c, ok := ctx.Conn().(*conn)
	if !ok {
		panic("downstream: request on a connection of somebody else")
	}
	if c.muted { // the error came after the response
		return
	}
	if c.failed != nil {
		err = c.failed
	}
	if refused := (&proxy.StatusError{}); !errors.As(err, &refused) {
		err = &proxy.StatusError{Code: fasthttp.StatusBadRequest, Err: err}
	}
	c.adapt(&ctx.Request.Header, &ctx.Response.Header)
	c.logRefusal(err)
	l.opts.Front().Refuse(&c.ex, err)
	c.ex.CloseClient = true
	c.conclude(ctx)
}

// refuse answers what is not even a good head; begun is what came of it.
func (c *conn) refuse(begun []byte, err error) {
	var ctx fasthttp.RequestCtx
	ctx.Response.Header.SetNoDefaultContentType(true)
	c.adapt(&ctx.Request.Header, &ctx.Response.Header)
	if c.head.tlen > 0 {
		c.ex.Method = begun[:c.head.method]
		c.ex.Target = begun[c.head.target : c.head.target+c.head.tlen]
		c.ex.Proto = c.head.proto.text()
		ctx.Request.Header.SetMethodBytes(c.ex.Method)
	} else {
		c.ex.Method, c.ex.Target, c.ex.Proto = nil, nil, nil
	}
	c.logRefusal(err)
	c.l.opts.Front().Refuse(&c.ex, err)
	c.ex.CloseClient = true
	c.conclude(&ctx)
	c.at, c.unclean = atEnd, true
}

func (c *conn) logRefusal(err error) {
	c.l.opts.Log.Info("request refused", "exchange", &c.ex, "err", err)
}

// conclude sends the response and finishes the exchange. After that the response in ctx is of no use, except that it
// tells fasthttp whether to go on; that it is written too is what conn.muted is for.
func (c *conn) conclude(ctx *fasthttp.RequestCtx) {
	goOn := c.respond()
	ctx.Response.Header.Reset()
	if !goOn {
		ctx.Response.Header.SetConnectionClose()
	}
}

// adapt fills in what a fresh exchange has in any case.
func (c *conn) adapt(request *fasthttp.RequestHeader, response *fasthttp.ResponseHeader) {
	ex := &c.ex
	ex.Request, ex.Response = request, response
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
	ex.Scheme = c.l.opts.Scheme
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
