package relay_test

import (
	"io"
	"strconv"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// TestHandler_AccelBuffering: a peer whose response is buffered, whoever wants it so, is free while the client reads nothing.
func TestHandler_AccelBuffering(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			f := func(unbuffer bool, value string, ignore relay.Accel) {
				t.Helper()
				peer := serve(t, wire, answer(upstreamtest.Answer{
					Header: []upstreamtest.Field{{Name: "X-Accel-Buffering", Value: value}},
					Body:   pattern(1, 8<<20), // more than the socket of a client that reads nothing takes
				}))
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
					o.Unbuffer, o.Fields.Ignore = unbuffer, ignore
				}})
				c := r.connect()
				resp := c.send(request("GET", "/", "")).head("GET")
				until(t, "the peer is free while the client reads nothing", r.idlePeers)
				if got := resp.Header.Get("X-Accel-Buffering"); got != "" {
					t.Errorf("the client got X-Accel-Buffering: %s", got)
				}
				c.Close()
				r.next()
			}
			f(true, "yes", 0)
			f(false, "no", relay.AccelBuffering)
			f(false, "maybe", 0)
		})
	}
}

// TestHandler_LimitRate: at a rate for the client the peer is read at full speed, and the client gets all of it.
func TestHandler_LimitRate(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			const rate = 256 << 10
			body := pattern(2, rate)
			peer := serve(t, wire, answer(upstreamtest.Answer{
				Header: []upstreamtest.Field{{Name: "X-Accel-Limit-Rate", Value: strconv.Itoa(rate)}}, Body: body,
			}))
			r := start(t, setup{wire: wire, peers: at(peer.Addr())})
			c := r.connect()
			c.send(request("GET", "/", ""))
			resp := c.head("GET")
			until(t, "the peer is free", r.idlePeers)
			if len(r.ended) != 0 {
				t.Error("the response was over before the peer was free")
			}
			got := response{status: resp.StatusCode}
			got.body, got.err = io.ReadAll(resp.Body)
			got.want(t, 200, body)
			if rec := r.next(); rec.Spilled == 0 || rec.Truncated {
				t.Errorf("got %+v, want a response that was spilled", rec)
			}
		})
	}
}

// TestHandler_LimitRateClientLeaves: a client that leaves while it waits for its next piece ends the exchange.
func TestHandler_LimitRateClientLeaves(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{
		Header: []upstreamtest.Field{{Name: "X-Accel-Limit-Rate", Value: "1"}}, Body: pattern(3, 300<<10),
	}))
	r := start(t, setup{peers: at(peer.Addr())})
	c := r.connect()
	c.send(request("GET", "/", ""))
	c.head("GET")
	c.Close()
	if rec := r.next(); !rec.Truncated {
		t.Errorf("got %+v, want a response that was cut", rec)
	}
}

// TestHandler_LimitRateOfTheAnswer: what a peer says whose response is not delivered does not hold for that of another one.
func TestHandler_LimitRateOfTheAnswer(t *testing.T) {
	for _, status := range []int{503, 200} {
		first := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{
			Status: status, Header: []upstreamtest.Field{{Name: "X-Accel-Limit-Rate", Value: "1000"}},
		}))
		second := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{}))
		rates := make(chan int64, 1)
		r := start(t, setup{
			peers: at(first.Addr(), second.Addr()), options: func(o *relay.Options) { o.Retry.On |= relay.OnHTTP503 },
			around: func(h proxy.Handler) proxy.Handler { return telling{h, rates} },
		})
		r.do("GET", "/", "").want(t, 200, nil)
		if got, want := <-rates, map[int]int64{503: 0, 200: 1000}[status]; got != want {
			t.Errorf("after %d: got a rate of %d, want %d", status, got, want)
		}
	}
}

// telling is a handler that tells the rate of each response.
type telling struct {
	proxy.Handler

	rates chan int64
}

// Serve serves as the handler does.
func (h telling) Serve(ex *proxy.Exchange) error {
	err := h.Handler.Serve(ex)
	h.rates <- ex.LimitRate
	return err
}
