package relay_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/http1"
	"spillway/upstream/upstreamtest"
)

// buggy is a Protocol that panics at one place; nil there calls the protocol that it is made of.
type buggy struct {
	upstream.Protocol

	send, head, body bool
	fuse             int // of body
}

func (b *buggy) Send(c *upstream.Conn, req *upstream.Request) error {
	if b.send {
		panic("a bug in send")
	}
	return b.Protocol.Send(c, req)
}

func (b *buggy) Receive(c *upstream.Conn, resp *upstream.Response) error {
	if b.head {
		panic("a bug in receive")
	}
	err := b.Protocol.Receive(c, resp)
	if b.body && resp.Body != nil {
		resp.Body = &bomb{from: resp.Body, fuse: b.fuse}
	}
	return err
}

// bomb is a body that panics when more than fuse bytes were read.
type bomb struct {
	from io.Reader
	fuse int
}

func (b *bomb) Read(p []byte) (int, error) {
	if b.fuse < 0 {
		panic("a bug in the body")
	}
	n, err := b.from.Read(p)
	b.fuse -= n
	return n, err
}

// startBuggy starts a rig whose protocol has a bug, with a body that does not come with its head.
func startBuggy(t *testing.T, bug *buggy, options func(*relay.Options)) *rig {
	t.Helper()
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: pattern(1, 24<<20)})) // more than the sockets take
	bug.Protocol = http1.New(http1.Options{KeepAlive: true})
	return start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) {
		o.Protocol = bug
		o.BusyTimeout = patience
		if options != nil {
			options(o)
		}
	}})
}

// wantPanic checks that the panic has its line, and is taken out of what checkNothingLeft does not want to see.
func (r *rig) wantPanic(phase, place string) {
	r.t.Helper()
	r.wantLog("panic", "level=ERROR+8", `phase="`+phase+`"`, "stack=", place)
	r.wantNoLog("client gone")
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	text := strings.ReplaceAll(r.log.text.String(), "msg=panic ", "msg=bug ")
	r.log.text.Reset()
	r.log.text.WriteString(text)
}

// TestHandler_SurvivesAPanic: a bug while a request is sent or its response is received costs that request alone: the slot, the
// connection and the buffers are given back, which checkNothingLeft sees.
func TestHandler_SurvivesAPanic(t *testing.T) {
	for _, bug := range []*buggy{{send: true}, {head: true}} {
		r := startBuggy(t, bug, nil)
		r.do("POST", "/", "body").want(t, http.StatusInternalServerError, proxy.Page(http.StatusInternalServerError))
		if rec := r.next(); rec.Cause != proxy.CauseInternal || rec.Panics != 1 {
			t.Errorf("got %+v, want the cause and one panic", rec)
		}
		r.wantPanic("handling the request", "a bug in")
		if err := r.group.Peers()[0].Drained(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// TestHandler_CutsAResponseWhoseBodyPanics: it is no end of the process, and no complete response, whoever reads the body.
func TestHandler_CutsAResponseWhoseBodyPanics(t *testing.T) {
	f := func(phase string, unbuffer bool, fuse int) {
		t.Helper()
		r := startBuggy(t, &buggy{body: true, fuse: fuse}, func(o *relay.Options) { o.Unbuffer = unbuffer })
		c := r.connect().send(request("GET", "/", ""))
		until(t, "the body panics", func() bool { return strings.Contains(r.log.String(), "a bug in the body") })
		if got := c.response("GET"); got.status != http.StatusOK || got.err == nil {
			t.Errorf("got status %d, error %v, want a 200 that is cut", got.status, got.err)
		}
		if rec := r.next(); !rec.Truncated || rec.Panics != 1 {
			t.Errorf("got %+v, want it truncated by one panic", rec)
		}
		r.wantPanic(phase, "a bug in the body")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := r.group.Peers()[0].Drained(ctx); err != nil {
			t.Error(err)
		}
	}
	f("reading upstream", false, 20<<20) // the client has read nothing, so the pump is at work
	f("sending the response", true, 0)
}
