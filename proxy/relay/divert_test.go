package relay_test

import (
	"slices"
	"testing"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// TestHandler_AccelRedirect: a response is given up for that of another location, and with it all that it held: with one slot
// the second attempt would wait for ever otherwise. A body that was to come costs the connection, one that is there does not.
func TestHandler_AccelRedirect(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			f := func(to string, size int, unbuffer bool, wantMethod, wantBody string) {
				t.Helper()
				file := pattern(1, 100<<10)
				methods := make(chan [2]string, 2)
				peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
					methods <- [2]string{r.Method, string(r.Body())}
					if r.Conn+r.Sequence == 2 {
						return upstreamtest.Answer{Header: []upstreamtest.Field{{Name: "X-Accel-Redirect", Value: to}}, Body: pattern(2, size)}
					}
					return upstreamtest.Answer{Body: file}
				})
				peers := at(peer.Addr())
				peers[0].MaxConns = 1
				r := start(t, setup{
					wire: wire, peers: peers, options: func(o *relay.Options) { o.Unbuffer = unbuffer },
					others: []*proxy.Route{{Path: "/inner/", Internal: true}, {Path: "@named", Internal: true}},
				})
				r.do("POST", "/", "body").want(t, 200, file)
				rec := r.next()
				if got := rec.statuses(); !slices.Equal(got, []int{200, 200}) || rec.Attempts[1].Hop != 1 || rec.Truncated {
					t.Errorf("%s: got %+v", to, rec)
				}
				<-methods
				if got := <-methods; got != [2]string{wantMethod, wantBody} {
					t.Errorf("%s: got %q, want %s %s", to, got, wantMethod, wantBody)
				}
				r.wantNoLog("client gone")
			}
			for _, size := range []int{0, 100, 1 << 20} {
				for _, unbuffer := range []bool{false, true} {
					f("/inner/x", size, unbuffer, "GET", "")
					f("@named", size, unbuffer, "POST", "body")
				}
			}
		})
	}
}

// TestHandler_InterceptedErrors: the status of a peer is an error of ours where the location has a page for it. The request
// goes to a named location as it was, with a body that lies in the spill file.
func TestHandler_InterceptedErrors(t *testing.T) {
	to, err := proxy.CompileTemplate("@named")
	if err != nil {
		t.Fatal(err)
	}
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			f := func(change func(*relay.Options), answer upstreamtest.Answer, wantStatus int, want string) {
				t.Helper()
				body := string(pattern(3, 200<<10))
				peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
					if r.Conn+r.Sequence == 2 {
						return answer
					}
					if got := string(r.Body()); got != body {
						t.Errorf("the named location got a body of %d bytes, want %d", len(got), len(body))
					}
					return upstreamtest.Answer{Body: []byte("page")}
				})
				r := start(t, setup{
					wire: wire, peers: at(peer.Addr()), options: change,
					others: []*proxy.Route{{Path: "@named", Internal: true}},
					pages:  []proxy.ErrorPage{{Codes: []int{404, 502}, To: to}},
				})
				got := r.do("POST", "/", body)
				if got.status != wantStatus || string(got.body) != want {
					t.Errorf("got %d %q, want %d %q", got.status, got.body, wantStatus, want)
				}
				r.next()
			}
			intercept := func(o *relay.Options) { o.Intercept = true }
			f(intercept, upstreamtest.Answer{Status: 404, Body: []byte("own")}, 404, "page")
			f(intercept, upstreamtest.Answer{Status: 403, Body: []byte("own")}, 403, "own")
			f(intercept, upstreamtest.Answer{Status: 404, Body: pattern(4, 1<<20)}, 404, "page")
			f(func(*relay.Options) {}, upstreamtest.Answer{Status: 404, Body: []byte("own")}, 404, "own")
			f(func(o *relay.Options) { o.Retry.Tries = 1 }, upstreamtest.Answer{Fault: upstreamtest.CloseInHead}, 502, "page")
			if wire.Name() == "http" { // over FastCGI, too, a body of known length is passed on, but one test is enough
				streamed := func(o *relay.Options) { o.Intercept, o.StreamBody = true, true }
				f(streamed, upstreamtest.Answer{Status: 404, Body: []byte("own")}, 404, string(proxy.Page(404)))
			}
		})
	}
}

// TestHandler_HeldBodyIsOneBody: a body that a second location gets counts once for client_max_body_size.
func TestHandler_HeldBodyIsOneBody(t *testing.T) {
	body := pattern(5, 60<<10)
	peer := serve(t, upstreamtest.HTTP{}, func(r *upstreamtest.Request) upstreamtest.Answer {
		if r.Conn+r.Sequence == 2 {
			return upstreamtest.Answer{Header: []upstreamtest.Field{{Name: "X-Accel-Redirect", Value: "@named"}}}
		}
		return upstreamtest.Answer{Body: r.Body()}
	})
	r := start(t, setup{
		peers: at(peer.Addr()), options: func(o *relay.Options) { o.BodyLimit = int64(len(body)) },
		others: []*proxy.Route{{Path: "@named", Internal: true}},
	})
	r.do("POST", "/", string(body)).want(t, 200, body)
}

// TestHandler_PageWithoutABody: a status that says that there is no body does not leave the client with a length of one.
func TestHandler_PageWithoutABody(t *testing.T) {
	to, err := proxy.CompileTemplate("/page")
	if err != nil {
		t.Fatal(err)
	}
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			f := func(status, want int) {
				t.Helper()
				peer := serve(t, wire, func(r *upstreamtest.Request) upstreamtest.Answer {
					if r.Conn+r.Sequence == 2 {
						return upstreamtest.Answer{Status: 404, Body: []byte("own")}
					}
					return upstreamtest.Answer{Status: status, Header: []upstreamtest.Field{{Name: "Content-Length", Value: "1234"}}}
				})
				r := start(t, setup{
					wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.Intercept = true },
					others: []*proxy.Route{{Path: "/page"}}, pages: []proxy.ErrorPage{{Codes: []int{404}, To: to}},
				})
				r.do("GET", "/", "").want(t, want, nil)
			}
			f(304, 304)
			f(204, 404)
		})
	}
}
