package relay_test

import (
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// stopped counts the calls of OnStuck, and checks that the peer is still in use in each.
type stopped struct {
	t     *testing.T
	calls atomic.Int64
}

func (s *stopped) on(o *relay.Options) {
	o.BusyTimeout = hurry
	o.OnStuck = func(p *upstream.Peer, took time.Duration) {
		s.calls.Add(1)
		if p.Inflight() != 1 || took < hurry {
			s.t.Errorf("got %d in flight after %v, want the slot held after busy_timeout", p.Inflight(), took)
		}
	}
}

func (s *stopped) want(n int64) {
	s.t.Helper()
	if got := s.calls.Load(); got != n {
		s.t.Errorf("got %d calls of OnStuck, want %d", got, n)
	}
}

func TestHandler_StopsAProcessThatIsStuck(t *testing.T) {
	for _, wire := range wires() {
		for _, fault := range []upstreamtest.Fault{upstreamtest.Silent, upstreamtest.HangInHead} {
			t.Run(wire.Name()+" "+fault.String(), func(t *testing.T) {
				t.Parallel()
				peer := serve(t, wire, answer(upstreamtest.Answer{Fault: fault}))
				other := serve(t, wire, good)
				s := &stopped{t: t}
				r := start(t, setup{wire: wire, peers: at(peer.Addr(), other.Addr()), options: s.on})
				r.do("GET", "/", "").want(t, http.StatusGatewayTimeout, proxy.Page(http.StatusGatewayTimeout))
				rec := r.next()
				if rec.Cause != proxy.CauseStuck || !slices.Equal(rec.statuses(), []int{504}) {
					t.Errorf("got %+v, want one attempt that was ended", rec)
				}
				s.want(1)
				r.wantLog("process stuck", "level=ERROR", "took=0.1s", "peer="+peer.Addr())
				r.wantNoLog("client gone")
				r.wantNoLog("peer failed")
				r.do("GET", "/", "").want(t, 200, []byte("good"))
			})
		}
	}
}

func TestHandler_CutsAResponseThatIsStuck(t *testing.T) {
	for _, wire := range wires() {
		for _, unbuffer := range []bool{false, true} {
			t.Run(wire.Name(), func(t *testing.T) {
				t.Parallel()
				peer := serve(t, wire, answer(upstreamtest.Answer{Body: pattern(1, 50000), Fault: upstreamtest.HangInBody}))
				s := &stopped{t: t}
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
					s.on(o)
					o.Unbuffer = unbuffer
				}})
				got := r.connect().send(request("GET", "/", "")).response("GET")
				if got.status != 200 || got.err == nil {
					t.Errorf("got status %d, error %v, want a 200 that is cut", got.status, got.err)
				}
				if rec := r.next(); !rec.Truncated {
					t.Errorf("got %+v, want it truncated", rec)
				}
				s.want(1)
				r.wantLog("process stuck", "level=ERROR")
				r.wantNoLog("client gone")
			})
		}
	}
}

// TestHandler_BusyTimeoutIsForOneAttempt: many requests on one run, which together take longer than busy_timeout, and a
// slow one before it.
func TestHandler_BusyTimeoutIsForOneAttempt(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, good)
	s := &stopped{t: t}
	r := start(t, setup{peers: at(peer.Addr()), options: s.on})
	for began := time.Now(); time.Since(began) < 5*hurry; {
		r.do("GET", "/", "").want(t, 200, []byte("good"))
		r.next()
	}
	s.want(0)
}

// TestHandler_BusyTimeoutAndClientGone: the client leaves first; the process is none the worse for it.
func TestHandler_BusyTimeoutAndClientGone(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: pattern(1, 1000), Fault: upstreamtest.HangInBody}))
	s := &stopped{t: t}
	r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) {
		s.on(o)
		o.BusyTimeout = patience
	}})
	c := r.connect().send(request("GET", "/", ""))
	if _, err := io.ReadFull(c.head("GET").Body, make([]byte, 500)); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	r.next()
	s.want(0)
	r.wantLog("client gone")
}

// TestHandler_ASlowClientStopsNoProcess: busy_timeout is the peer's time, not that of a client that takes its response, or
// sends its body, slowly.
func TestHandler_ASlowClientStopsNoProcess(t *testing.T) {
	for _, unbuffer := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			const (
				size  = 8 << 20 // much more than the sockets hold
				limit = 4 * time.Second
				slow  = limit + limit/8
			)
			peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: pattern(1, size)}))
			s := &stopped{t: t}
			r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) {
				s.on(o)
				o.BusyTimeout = limit
				o.Unbuffer, o.Spill, o.StreamBody = unbuffer, nil, true
			}})
			c := r.connect().send("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 8\r\n\r\nbody")
			<-time.After(slow)
			resp := c.send("body").head("POST")
			<-time.After(slow)
			if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
				t.Errorf("got %d bytes, error %v, want all", n, err)
			}
			r.next()
			s.want(0)
		})
	}
}
