package relay_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// TestHandler_RetriesByNginxRules has a first peer that goes wrong and a second that works.
func TestHandler_RetriesByNginxRules(t *testing.T) {
	fault := func(f upstreamtest.Fault) upstreamtest.Answer {
		return upstreamtest.Answer{Fault: f, Body: []byte("bad")}
	}
	status := func(code int) upstreamtest.Answer { return upstreamtest.Answer{Status: code, Body: []byte("bad")} }
	refused := upstreamtest.Answer{Status: -1}
	for _, tt := range []struct {
		name   string
		first  upstreamtest.Answer
		on     relay.Condition
		method string

		status   int // of the response
		attempts []int
		fails    int // of the first peer
		cause    proxy.Cause
	}{
		{"refused", refused, relay.OnError, "GET", 200, []int{502, 200}, 1, ""},
		{"refused, off", refused, 0, "GET", 502, []int{502}, 1, proxy.CauseRefused},
		{"refused, nothing of a POST was sent", refused, relay.OnError, "POST", 200, []int{502, 200}, 1, ""},
		{"closed", fault(upstreamtest.CloseBeforeHead), relay.OnError, "GET", 200, []int{502, 200}, 1, ""},
		{"closed, off", fault(upstreamtest.CloseBeforeHead), 0, "GET", 502, []int{502}, 1, proxy.CauseFailed},
		{"closed, only timeouts", fault(upstreamtest.CloseBeforeHead), relay.OnTimeout, "GET", 502, []int{502}, 1, proxy.CauseFailed},
		{"closed, PUT", fault(upstreamtest.CloseBeforeHead), relay.OnError, "PUT", 200, []int{502, 200}, 1, ""},
		{"closed, DELETE", fault(upstreamtest.CloseBeforeHead), relay.OnError, "DELETE", 200, []int{502, 200}, 1, ""},
		{"closed, POST", fault(upstreamtest.CloseBeforeHead), relay.OnError, "POST", 502, []int{502}, 1, proxy.CauseFailed},
		{"closed, PATCH", fault(upstreamtest.CloseBeforeHead), relay.OnError, "PATCH", 502, []int{502}, 1, proxy.CauseFailed},
		{"closed, LOCK", fault(upstreamtest.CloseBeforeHead), relay.OnError, "LOCK", 502, []int{502}, 1, proxy.CauseFailed},
		{"closed, POST allowed", fault(upstreamtest.CloseBeforeHead), relay.OnError | relay.NonIdempotent, "POST", 200, []int{502, 200}, 1, ""},
		{"reset", fault(upstreamtest.ResetBeforeHead), relay.OnError, "GET", 200, []int{502, 200}, 1, ""},
		{"closed in head", fault(upstreamtest.CloseInHead), relay.OnError, "GET", 200, []int{502, 200}, 1, ""},
		{"silent", fault(upstreamtest.Silent), relay.OnTimeout, "GET", 200, []int{504, 200}, 1, ""},
		{"silent, off", fault(upstreamtest.Silent), relay.OnError, "GET", 504, []int{504}, 1, proxy.CauseTimeout},
		{"silent, POST", fault(upstreamtest.Silent), relay.OnTimeout, "POST", 504, []int{504}, 1, proxy.CauseTimeout},
		{"hangs in head", fault(upstreamtest.HangInHead), relay.OnTimeout, "GET", 200, []int{504, 200}, 1, ""},
		{"garbage", fault(upstreamtest.Garbage), relay.OnInvalidHeader, "GET", 200, []int{502, 200}, 1, ""},
		{"garbage, off", fault(upstreamtest.Garbage), relay.OnError, "GET", 502, []int{502}, 1, proxy.CauseInvalid},
		{"huge head", fault(upstreamtest.HugeHead), relay.OnInvalidHeader, "GET", 200, []int{502, 200}, 1, ""},
		{"500", status(500), relay.OnHTTP500, "GET", 200, []int{500, 200}, 1, ""},
		{"502", status(502), relay.OnHTTP502, "GET", 200, []int{502, 200}, 1, ""},
		{"503", status(503), relay.OnHTTP503, "GET", 200, []int{503, 200}, 1, ""},
		{"504", status(504), relay.OnHTTP504, "GET", 200, []int{504, 200}, 1, ""},
		{"429", status(429), relay.OnHTTP429, "GET", 200, []int{429, 200}, 1, ""},
		{"403 never counts", status(403), relay.OnHTTP403, "GET", 200, []int{403, 200}, 0, ""},
		{"404 never counts", status(404), relay.OnHTTP404, "GET", 200, []int{404, 200}, 0, ""},
		{"503 that is not listed", status(503), relay.OnError | relay.OnHTTP500, "GET", 503, []int{503}, 0, ""},
		{"503 for a POST", status(503), relay.OnHTTP503, "POST", 503, []int{503}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, wire := range wires() {
				t.Run(wire.Name(), func(t *testing.T) {
					t.Parallel()
					first, second := refusing(t), serve(t, wire, good)
					if tt.first.Status >= 0 {
						first = serve(t, wire, answer(tt.first)).Addr()
					}
					r := start(t, setup{wire: wire, peers: at(first, second.Addr()), options: func(o *relay.Options) {
						o.Retry.On = tt.on
						if tt.first.Fault == upstreamtest.Silent || tt.first.Fault == upstreamtest.HangInHead {
							o.Timeouts.Read = hurry
						}
					}})
					got := r.do(tt.method, "/", "a body")
					body := []byte("good")
					switch {
					case tt.status != 200 && tt.cause != "":
						body = proxy.Page(tt.status)
					case tt.status != 200:
						body = []byte("bad")
					}
					got.want(t, tt.status, body)
					rec := r.next()
					if rec.Status != tt.status || rec.Cause != tt.cause || !slices.Equal(rec.statuses(), tt.attempts) {
						t.Errorf("got status %d, cause %q, attempts %v, want %d, %q, %v\n%s",
							rec.Status, rec.Cause, rec.statuses(), tt.status, tt.cause, tt.attempts, r.log)
					}
					if got := r.group.Peers()[0].Fails(); got != tt.fails {
						t.Errorf("got %d fails, want %d", got, tt.fails)
					}
				})
			}
		})
	}
}

func TestHandler_LimitsRetries(t *testing.T) {
	all := relay.OnError | relay.OnTimeout
	for _, tt := range []struct {
		name     string
		policy   relay.RetryPolicy
		attempts int
	}{
		{"all peers", relay.RetryPolicy{On: all}, 3},
		{"tries", relay.RetryPolicy{On: all, Tries: 2}, 2},
		{"more tries than peers", relay.RetryPolicy{On: all, Tries: 9}, 3},
		{"time is up", relay.RetryPolicy{On: all, Timeout: 1}, 1},
		{"enough time", relay.RetryPolicy{On: all, Timeout: time.Hour}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			closing := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
			r := start(t, setup{
				peers:   at(closing.Addr(), refusing(t), closing.Addr()),
				options: func(o *relay.Options) { o.Retry = tt.policy },
			})
			r.do("GET", "/", "").want(t, 502, proxy.Page(502))
			if rec := r.next(); len(rec.Attempts) != tt.attempts {
				t.Errorf("got %d attempts, want %d", len(rec.Attempts), tt.attempts)
			}
		})
	}
}

func TestHandler_NobodyIsLeft(t *testing.T) {
	t.Run("from the start", func(t *testing.T) {
		peers := at(refusing(t), refusing(t))
		peers[0].Down, peers[1].Down = true, true
		r := start(t, setup{peers: peers})
		r.do("GET", "/", "").want(t, 502, proxy.Page(502))
		rec := r.next()
		if rec.Cause != proxy.CauseNoPeers || len(rec.Attempts) != 1 || rec.Attempts[0].Peer != "app" || rec.Attempts[0].Status != 502 {
			t.Errorf("got %+v, want one attempt at the group", rec)
		}
		r.wantLog("no live upstreams", "level=ERROR", "upstream=app")
	})
	t.Run("after an attempt", func(t *testing.T) {
		peers := at(refusing(t), refusing(t))
		peers[1].Down = true
		r := start(t, setup{peers: peers, group: func(o *upstream.GroupOptions) { o.Unsupervised = true }})
		r.do("GET", "/", "").want(t, 502, proxy.Page(502))
		rec := r.next()
		if rec.Cause != proxy.CauseNoPeers || len(rec.Attempts) != 2 || rec.Attempts[1].Peer != "app" {
			t.Errorf("got %+v, want an attempt at the peer and one at the group", rec)
		}
	})
	for name, state := range map[string]upstream.State{"a port without a process": upstream.Away, "a process on its way": upstream.Coming} {
		t.Run(name, func(t *testing.T) {
			peers := at(refusing(t), refusing(t), refusing(t))
			peers[2].State = state
			r := start(t, setup{peers: peers})
			r.do("GET", "/", "").want(t, 502, proxy.Page(502))
			if rec := r.next(); rec.Cause != proxy.CauseRefused || len(rec.Attempts) != 2 {
				t.Errorf("got %+v, want the failure of the second process", rec)
			}
			r.wantNoLog("no live upstreams")
		})
	}
	t.Run("but a backup", func(t *testing.T) {
		peers := at(refusing(t), serve(t, upstreamtest.HTTP{}, good).Addr())
		peers[1].Backup = true
		r := start(t, setup{peers: peers})
		r.do("GET", "/", "").want(t, 200, []byte("good"))
	})
}

// TestHandler_AsksPeersThatAreAllDisabled: nginx answers "no live upstreams" for fail_timeout, without asking anybody.
func TestHandler_AsksPeersThatAreAllDisabled(t *testing.T) {
	p := newProcess(t)
	r := start(t, setup{peers: at(refusing(t), p.addr)})
	p.end()
	r.do("GET", "/", "").want(t, 502, proxy.Page(502))
	p.start()
	r.do("GET", "/", "").want(t, 200, []byte("good"))
	r.wantNoLog("no live upstreams")
	if !r.group.Peers()[0].Disabled(time.Now()) || r.group.Peers()[1].Disabled(time.Now()) {
		t.Error("the peer that answered is still disabled, or the other one is not")
	}
}

// TestHandler_RetriesWithinTheBudget: 40 requests meet two peers that close, and nothing more than the budget is sent again.
func TestHandler_RetriesWithinTheBudget(t *testing.T) {
	const requests, budget = 40, 10
	for name, first := range map[string]upstreamtest.Answer{
		"closed": {Fault: upstreamtest.CloseBeforeHead}, "status": {Status: 500, Body: []byte("bad")},
	} {
		t.Run(name, func(t *testing.T) {
			peer := serve(t, upstreamtest.HTTP{}, answer(first))
			r := start(t, setup{
				peers:   at(peer.Addr(), peer.Addr()),
				group:   func(o *upstream.GroupOptions) { o.Retries = upstream.RetryBudget{Percent: 20, Min: 1} },
				options: func(o *relay.Options) { o.Retry.On = relay.OnError | relay.OnHTTP500 },
			})
			attempts := 0
			for range requests {
				r.do("GET", "/", "")
				attempts += len(r.next().Attempts)
			}
			if attempts != requests+budget {
				t.Errorf("got %d attempts, want %d for the requests and %d of the budget", attempts, requests, budget)
			}
			r.wantLog("retry budget used up", "level=WARN", "retries=10", "upstream=app")
			if got := r.group.Retries(time.Now()); got.Total != budget || got.Denied != requests-budget {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestHandler_ARefusalIsNoRetry: a request that no process has seen yet costs the budget nothing.
func TestHandler_ARefusalIsNoRetry(t *testing.T) {
	peers := at(refusing(t), refusing(t), serve(t, upstreamtest.HTTP{}, good).Addr())
	for i := range peers {
		peers[i].MaxFails = 0
	}
	r := start(t, setup{peers: peers, group: func(o *upstream.GroupOptions) { o.Retries = upstream.RetryBudget{Percent: 1} }})
	for range 10 {
		r.do("GET", "/", "").want(t, 200, []byte("good"))
	}
	if got := r.group.Retries(time.Now()); got.Total != 0 {
		t.Errorf("got %+v, want no retry", got)
	}
}

func TestHandler_DisablesPeerAfterMaxFails(t *testing.T) {
	peers := at(refusing(t), serve(t, upstreamtest.HTTP{}, good).Addr())
	peers[0].MaxFails = 2
	r := start(t, setup{peers: peers})
	asked := 0
	for range 6 {
		r.do("GET", "/", "").want(t, 200, []byte("good"))
		asked += len(r.next().Attempts) - 1
	}
	if asked != 2 {
		t.Errorf("the broken peer was asked %d times, want 2", asked)
	}
	r.wantLog("peer disabled", "level=WARN", "peer="+peers[0].Address, `phase="connecting to upstream"`)
}

// TestHandler_RepeatsOnFreshConnection has a peer that closes an idle connection when the next request comes.
func TestHandler_RepeatsOnFreshConnection(t *testing.T) {
	for _, wire := range wires() {
		if wire.OneShot() {
			continue
		}
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			closing := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
				if r.Sequence > 1 {
					return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
				}
				return upstreamtest.Answer{Body: []byte("good")}
			})
			r := start(t, setup{wire: wire, peers: at(closing.Addr(), refusing(t)), options: func(o *relay.Options) { o.Retry.On = 0 }})
			peer := r.group.Peers()[0]
			r.group.Peers()[1].SetState(upstream.Away)
			for range 3 {
				r.do("GET", "/", "").want(t, 200, []byte("good"))
				if rec := r.next(); !slices.Equal(rec.statuses(), []int{200}) || peer.Fails() != 0 {
					t.Errorf("got attempts %v and %d fails, want one attempt and none", rec.statuses(), peer.Fails())
				}
			}
			if got := closing.Conns(); got != 3 {
				t.Errorf("got %d connections, want 3", got)
			}
			r.wantNoLog("peer failed")
			r.do("POST", "/", "x").want(t, 502, proxy.Page(502)) // it may have had its effect
			if rec := r.next(); !slices.Equal(rec.statuses(), []int{502}) {
				t.Errorf("got attempts %v, want one", rec.statuses())
			}
		})
	}
}

// TestHandler_LeavesNothingOfFailedAttempt: what the client gets has no trace of a response that was not used.
func TestHandler_LeavesNothingOfFailedAttempt(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			bad := serve(t, wire, answer(upstreamtest.Answer{Status: 503, Body: []byte("bad"), Header: []upstreamtest.Field{
				{Name: "Content-Type", Value: "text/bad"},
				{Name: "X-Bad", Value: "1"},
				{Name: "Set-Cookie", Value: "bad=1"},
				{Name: "Content-Encoding", Value: "bad"},
				{Name: "Connection", Value: "X-Good"},
			}}))
			fine := serve(t, wire, answer(upstreamtest.Answer{Status: 201, Body: []byte("good"), Header: []upstreamtest.Field{
				{Name: "X-Good", Value: "1"},
			}}))
			r := start(t, setup{wire: wire, peers: at(bad.Addr(), fine.Addr()), options: func(o *relay.Options) {
				o.Retry.On = relay.OnHTTP503
			}})
			got := r.do("GET", "/", "")
			got.want(t, 201, []byte("good"))
			for _, name := range []string{"Content-Type", "X-Bad", "Set-Cookie", "Content-Encoding"} {
				if values := got.header.Values(name); len(values) > 0 {
					t.Errorf("got %s %q of the first attempt, or a default", name, values)
				}
			}
			if got.header.Get("X-Good") != "1" {
				t.Error("X-Good of the second attempt is missing")
			}
		})
	}
}

// TestHandler_TriesNextAfterHeadAlone: a head without a byte of its body has not reached the client.
func TestHandler_TriesNextAfterHeadAlone(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for fault, status := range map[upstreamtest.Fault]int{
				upstreamtest.CloseInBody: 502, upstreamtest.ResetInBody: 502, upstreamtest.HangInBody: 504,
			} {
				bad := serve(t, wire, answer(upstreamtest.Answer{
					Body: []byte("x"), Fault: fault, Header: []upstreamtest.Field{{Name: "X-Bad", Value: "1"}},
				}))
				options := func(o *relay.Options) {
					if fault == upstreamtest.HangInBody {
						o.Timeouts.Read = hurry
					}
				}
				r := start(t, setup{wire: wire, peers: at(bad.Addr(), serve(t, wire, good).Addr()), options: options})
				got := r.do("GET", "/", "")
				got.want(t, 200, []byte("good"))
				if rec := r.next(); !slices.Equal(rec.statuses(), []int{status, 200}) || got.header.Get("X-Bad") != "" {
					t.Errorf("%v: got attempts %v, fields %v", fault, rec.statuses(), got.header)
				}
				r = start(t, setup{wire: wire, peers: at(bad.Addr()), options: options})
				r.do("POST", "/", "x").want(t, status, proxy.Page(status))
			}
		})
	}
}

// TestHandler_AnswersWithoutPeer: a page of ours has no field of the peer whose answer was not to be used.
func TestHandler_AnswersWithoutPeer(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			bad := serve(t, wire, answer(upstreamtest.Answer{Fault: upstreamtest.CloseInHead, Header: []upstreamtest.Field{
				{Name: "X-Bad", Value: "1"}, {Name: "Set-Cookie", Value: "bad=1"}, {Name: "X-Pad", Value: strings.Repeat("x", 500)},
			}}))
			r := start(t, setup{wire: wire, peers: at(bad.Addr())})
			got := r.do("GET", "/", "")
			got.want(t, 502, proxy.Page(502))
			if got.header.Get("X-Bad") != "" || got.header.Get("Set-Cookie") != "" || got.header.Get("Content-Type") != "text/html" {
				t.Errorf("got %v", got.header)
			}
			r.wantLog("peer failed", "level=ERROR", "attempt=1", `phase="reading response header from upstream"`, "prematurely closed")
		})
	}
}

// TestHandler_FailTimeoutBeginsWithTheFailure: a peer that took long to fail is out of use as long as any other.
func TestHandler_FailTimeoutBeginsWithTheFailure(t *testing.T) {
	t.Parallel()
	const long = 2 * time.Second
	bad := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.HangInHead}))
	peers := at(bad.Addr(), serve(t, upstreamtest.HTTP{}, good).Addr())
	peers[0].FailTimeout = long - hurry
	r := start(t, setup{peers: peers, options: func(o *relay.Options) { o.Timeouts.Read = long }})
	r.do("GET", "/", "").want(t, 200, []byte("good"))
	if !slices.Equal(r.next().statuses(), []int{504, 200}) || !r.group.Peers()[0].Disabled(time.Now()) {
		t.Error("the peer has hung, and gets the next request even so")
	}
}
