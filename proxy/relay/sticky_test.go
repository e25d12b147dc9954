package relay_test

import (
	"bytes"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// named is the handler of a peer that says who it is.
func named(name string) func(*upstreamtest.Request) upstreamtest.Answer {
	return answer(upstreamtest.Answer{
		Body: []byte(name), Header: []upstreamtest.Field{{Name: "Set-Cookie", Value: "own=" + name}},
	})
}

// sticky are the options of a group that binds clients by the cookie route.
func sticky(o *relay.Options) {
	o.Picker = balancer.NewSticky(balancer.NewRoundRobin())
	o.Sticky = &relay.Sticky{Cookie: "route", Path: "/"}
}

// asking is a request with a cookie.
func asking(cookie string) string {
	return strings.Replace(request("GET", "/", ""), "\r\n\r\n", "\r\nCookie: a=b; "+cookie+"\r\n\r\n", 1)
}

// routes returns the values of the cookie route of a response.
func (r response) routes() []string {
	var all []string
	for _, line := range r.header.Values("Set-Cookie") {
		if value, found := strings.CutPrefix(line, "route="); found {
			all = append(all, value)
		}
	}
	return all
}

func TestSticky_BindsTheClientToItsPeer(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			a, b := serve(t, wire, named("a")), serve(t, wire, named("b"))
			r := start(t, setup{wire: wire, peers: at(a.Addr(), b.Addr()), options: sticky})
			route := map[string]string{}
			for i, name := range []string{"a", "b"} {
				route[name] = r.group.Peers()[i].Route()
			}
			ask := func(cookie, want string) {
				t.Helper()
				got := r.connect().send(asking(cookie)).response("GET")
				if want == "" {
					want = string(got.body)
				}
				got.want(t, http.StatusOK, []byte(want))
				if routes := got.routes(); !slices.Equal(routes, []string{route[want] + "; path=/"}) {
					t.Errorf("got routes %q, want that of %s", routes, want)
				}
				if !slices.Contains(got.header.Values("Set-Cookie"), "own="+want) {
					t.Errorf("got %q, want the cookie of the peer as well", got.header.Values("Set-Cookie"))
				}
			}
			ask("x=y", "")
			ask("route=127.0.0.1", "")
			for range 3 {
				ask("route="+route["b"], "b")
				ask("ROUTE="+route["a"], "a")
			}
		})
	}
}

// TestSticky_PeerThatFailedIsLeft: the client is bound to the one that has answered in its place.
func TestSticky_PeerThatFailedIsLeft(t *testing.T) {
	other := serve(t, upstreamtest.HTTP{}, named("other"))
	r := start(t, setup{peers: at(refusing(t), other.Addr()), options: sticky})
	peers := r.group.Peers()
	for range 2 { // the first one tries its peer; the next one finds it disabled
		got := r.connect().send(asking("route=" + peers[0].Route())).response("GET")
		got.want(t, http.StatusOK, []byte("other"))
		if routes := got.routes(); !slices.Equal(routes, []string{peers[1].Route() + "; path=/"}) {
			t.Errorf("got routes %q, want that of the other peer", routes)
		}
	}
	if peers[0].Failures() != 1 {
		t.Errorf("got %d attempts at the peer that refuses, want 1", peers[0].Failures())
	}
}

// TestSticky_BusyPeerKeepsItsClient: what its one slot has no room for is served elsewhere, and the client comes back.
func TestSticky_BusyPeerKeepsItsClient(t *testing.T) {
	held := make(chan struct{})
	busy := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		<-held
		return upstreamtest.Answer{Body: []byte("busy")}
	})
	other := serve(t, upstreamtest.HTTP{}, named("other"))
	r := start(t, setup{
		peers: at(busy.Addr(), other.Addr()), options: sticky,
		group: func(o *upstream.GroupOptions) { o.Concurrency = 1 },
	})
	own := r.group.Peers()[0]
	first := r.connect().send(asking("route=" + own.Route()))
	until(t, "the peer is busy", func() bool { return own.Inflight() == 1 })
	got := r.connect().send(asking("route=" + own.Route())).response("GET")
	got.want(t, http.StatusOK, []byte("other"))
	if routes := got.routes(); len(routes) != 0 {
		t.Errorf("got routes %q, want none", routes)
	}
	close(held)
	last := first.response("GET")
	last.want(t, http.StatusOK, []byte("busy"))
	if routes := last.routes(); len(routes) != 1 || !strings.HasPrefix(routes[0], own.Route()) {
		t.Errorf("got routes %q, want that of the own peer", routes)
	}
}

func TestSticky_CookieHasItsAttributes(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, named("a"))
	f := func(s relay.Sticky, want string) {
		t.Helper()
		r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) {
			sticky(o)
			o.Sticky = &s
		}})
		got := r.do("GET", "/", "")
		value := ""
		for _, line := range got.header.Values("Set-Cookie") {
			if !strings.HasPrefix(line, "own=") {
				value = line
			}
		}
		want = strings.Replace(want, "ROUTE", r.group.Peers()[0].Route(), 1)
		if !regexp.MustCompile("^" + want + "$").MatchString(value) {
			t.Errorf("got %q, want %q", value, want)
		}
		if s.Expires > 0 {
			cookies := (&http.Response{Header: http.Header{"Set-Cookie": {value}}}).Cookies()
			if len(cookies) != 1 || time.Until(cookies[0].Expires) > s.Expires || time.Until(cookies[0].Expires) < s.Expires-time.Minute {
				t.Errorf("got %v, want a cookie that expires in %v", cookies, s.Expires)
			}
		}
	}
	f(relay.Sticky{Cookie: "r"}, "r=ROUTE")
	f(relay.Sticky{Cookie: "r", Domain: "site.test", Path: "/app", Secure: true}, "r=ROUTE; domain=site.test; secure; path=/app")
	f(relay.Sticky{Cookie: "r", Expires: time.Hour, HTTPOnly: true, SameSite: "lax"},
		"r=ROUTE; expires=..., .. ... .... ..:..:.. GMT; max-age=3600; httponly; samesite=lax")
}

// TestHandler_ChoosesByTheKeyOfTheRequest: the key is made of variables, once for each exchange.
func TestHandler_ChoosesByTheKeyOfTheRequest(t *testing.T) {
	var peers []string
	for _, name := range []string{"a", "b", "c", "d"} {
		peers = append(peers, serve(t, upstreamtest.HTTP{}, named(name)).Addr())
	}
	key, err := proxy.CompileTemplate("$arg_user")
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, setup{peers: at(peers...), options: func(o *relay.Options) {
		o.Picker, o.Key = balancer.NewHash(), key
	}})
	used := map[string]bool{}
	for user := range strings.FieldsSeq("ann bob cid dan eve fay gus hal") {
		first := r.do("GET", "/x?user="+user, "")
		again := r.do("GET", "/y?page=1&user="+user, "")
		if !bytes.Equal(first.body, again.body) {
			t.Errorf("%s: got %s, then %s, want one peer", user, first.body, again.body)
		}
		used[string(first.body)] = true
	}
	if len(used) < 2 {
		t.Errorf("got %v only, want several peers", used)
	}
}

// TestHandler_WhoWaitsTakesWhoeverIsFree: a request whose own peer is busy, by its key or its cookie, takes the slot that is
// freed first, although it is another peer's.
func TestHandler_WhoWaitsTakesWhoeverIsFree(t *testing.T) {
	key, err := proxy.CompileTemplate("the same for all")
	if err != nil {
		t.Fatal(err)
	}
	hash := func(o *relay.Options) { o.Picker, o.Key = balancer.NewKetama(), key }
	for name, options := range map[string]func(*relay.Options){"hash": hash, "sticky": sticky} {
		t.Run(name, func(t *testing.T) {
			leave := map[string]chan struct{}{"a": make(chan struct{}, 2), "b": make(chan struct{}, 2)}
			var peers []string
			for _, name := range []string{"a", "b"} {
				peers = append(peers, serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
					<-leave[name]
					return upstreamtest.Answer{Body: []byte(name)}
				}).Addr())
			}
			r := start(t, setup{peers: at(peers...), options: options, group: func(o *upstream.GroupOptions) {
				o.Concurrency, o.Queue = 1, upstream.Queue{Length: 10, Timeout: patience}
			}})
			cookie := "route=" + r.group.Peers()[0].Route()
			var asked []*client
			inFlight := func() (n int64) { return r.group.Peers()[0].Inflight() + r.group.Peers()[1].Inflight() }
			for n := range int64(2) {
				asked = append(asked, r.connect().send(asking(cookie)))
				until(t, "a peer is busy", func() bool { return inFlight() == n+1 })
			}
			waits := r.connect().send(asking(cookie))
			until(t, "a request waits", func() bool { return r.group.Queue().Waiting == 1 })
			own, other := "a", "b"
			if name == "hash" && ownOfKey(r) == 1 {
				own, other = other, own
			}
			leave[other] <- struct{}{}
			leave[other] <- struct{}{}
			waits.response("GET").want(t, http.StatusOK, []byte(other))
			leave[own] <- struct{}{}
			for _, c := range asked {
				c.response("GET")
			}
		})
	}
}

// ownOfKey returns the index of the peer that the key of the test above belongs to.
func ownOfKey(r *rig) int {
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Protocol: r.group.Protocol(), Peers: at(r.group.Peers()[0].Address(), r.group.Peers()[1].Address()),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return balancer.NewKetama().Pick(g.Peers(), &balancer.Hint{Now: time.Now(), Key: []byte("the same for all")}).Index()
}

// TestHandler_ChoosesByTheClient: all of this machine are one client.
func TestHandler_ChoosesByTheClient(t *testing.T) {
	a, b := serve(t, upstreamtest.HTTP{}, named("a")), serve(t, upstreamtest.HTTP{}, named("b"))
	r := start(t, setup{peers: at(a.Addr(), b.Addr()), options: func(o *relay.Options) { o.Picker = balancer.NewIPHash() }})
	want := r.do("GET", "/", "").body
	for range 5 {
		r.do("GET", "/", "").want(t, http.StatusOK, want)
	}
	other := start(t, setup{peers: at(a.Addr(), b.Addr()), options: func(o *relay.Options) { o.Picker = balancer.NewIPHash() }})
	other.do("GET", "/", "").want(t, http.StatusOK, want)
}

// TestHandler_MeasuresPeers: those that answered, to the head and to the last byte; not those that failed.
func TestHandler_MeasuresPeers(t *testing.T) {
	closing := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
	working := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Body: pattern(1, 100_000)}))
	r := start(t, setup{
		peers: at(closing.Addr(), working.Addr()),
		group: func(o *upstream.GroupOptions) { o.Flights = upstream.UntilEnd },
	})
	r.do("GET", "/", "").want(t, http.StatusOK, pattern(1, 100_000))
	failed, answered := r.group.Peers()[0], r.group.Peers()[1]
	if failed.HeadTime() != 0 || failed.ResponseTime() != 0 {
		t.Errorf("got %v and %v of a peer that failed", failed.HeadTime(), failed.ResponseTime())
	}
	if answered.HeadTime() <= 0 || answered.ResponseTime() < answered.HeadTime() {
		t.Errorf("got %v to the head, %v to the last byte", answered.HeadTime(), answered.ResponseTime())
	}
	for _, p := range r.group.Peers() {
		if got := p.FlightTime(time.Now().Add(time.Hour)); got != 0 {
			t.Errorf("got %v of attempts under way, want none", got)
		}
	}
}
