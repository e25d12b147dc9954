package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/http1"
	"spillway/upstream/upstreamtest"
)

// echo answers with the request's body.
func echo(r *upstreamtest.Request) upstreamtest.Answer { return upstreamtest.Answer{Body: r.Body()} }

const chunkedHead = "POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n"

// chunk is a chunk of a chunked body, none without data, and lastChunk its end.
func chunk(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(data), data)
}

const lastChunk = "0\r\n\r\n"

// TestHandler_RequestsOfAllSizes echoes bodies that are held in memory, spilled, and streamed.
func TestHandler_RequestsOfAllSizes(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, stream := range []bool{false, true} {
				peer := serve(t, wire, echo)
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
				c := r.connect()
				for _, size := range sizes {
					body := pattern(size, size)
					c.send(request("POST", "/", string(body))).response("POST").want(t, 200, body)
					c.send(chunkedHead + chunk(body[:size/3]) + lastChunk)
					c.response("POST").want(t, 200, body[:size/3])
					for range 2 {
						if rec := r.next(); rec.Truncated {
							t.Errorf("got %+v", rec)
						}
					}
				}
				wantLength(t, wire, peer.Requests())
				if spilled := strings.Contains(r.log.String(), "request spilled"); spilled != (!stream || wire.Name() != "http") {
					t.Errorf("stream %v: spilled is %v", stream, spilled)
				}
			}
		})
	}
}

// wantLength checks that applications behind CGI were told the length of each body.
func wantLength(t *testing.T, wire upstreamtest.Wire, requests []*upstreamtest.Request) {
	t.Helper()
	if wire.Name() == "http" {
		return
	}
	for _, req := range requests {
		if got := req.Params["CONTENT_LENGTH"]; got != strconv.Itoa(len(req.Body())) && (got != "" || len(req.Body()) > 0) {
			t.Errorf("got CONTENT_LENGTH %q, want %d", got, len(req.Body()))
		}
	}
}

// TestHandler_HoldsBodyFirst: a client that sends slowly occupies no peer, unless request_buffering is off.
func TestHandler_HoldsBodyFirst(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, chunked := range []bool{false, true} {
				for _, stream := range []bool{false, true} {
					peer := serve(t, wire, echo)
					r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
					body := pattern(1, 50000)
					first, rest := string(body[:20000]), string(body[20000:])
					head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n", len(body))
					if chunked {
						head, first, rest = chunkedHead, chunk(body[:20000]), chunk(body[20000:])+lastChunk
					}
					c := r.connect().send(head + first)
					if stream && (!chunked || wire.Name() == "http") {
						until(t, "the peer is asked", func() bool { return peer.Conns() == 1 })
					} else if !chunked || stream {
						until(t, "the first part is spilled", func() bool { return strings.Contains(r.log.String(), "request spilled") })
						if peer.Conns() != 0 {
							t.Error("the peer was asked before the body was there")
						}
					}
					c.send(rest).response("POST").want(t, 200, body)
				}
			}
		})
	}
}

func TestHandler_RefusesTooLargeBodies(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, stream := range []bool{false, true} {
				peer := serve(t, wire, echo)
				r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
					o.StreamBody, o.BodyLimit = stream, 40000
				}})
				r.connect().send(chunkedHead+chunk(pattern(1, 40000))+lastChunk).response("POST").want(t, 200, pattern(1, 40000))
				r.next()
				r.connect().send(chunkedHead+chunk(pattern(1, 40001))+lastChunk).response("POST").want(t, 413, proxy.Page(413))
				rec := r.next()
				if rec.Status != 413 || rec.Cause != proxy.CauseRequestBody || slices.Contains(rec.statuses(), 502) {
					t.Errorf("got %+v, want a 413", rec)
				}
				if r.group.Peers()[0].Fails()+int(r.group.Peers()[0].Failures()) != 0 {
					t.Error("the peer was blamed")
				}
				r.wantLog("chunked request body too large", "level=ERROR", "bytes=40001")
			}
		})
	}
}

// TestHandler_BlamesClientForItsBody: a body that breaks is no failure of the peer.
func TestHandler_BlamesClientForItsBody(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, stream := range []bool{false, true} {
				peer := serve(t, wire, echo)
				r := start(t, setup{wire: wire, peers: at(peer.Addr(), peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
				c := r.connect().send("PUT / HTTP/1.1\r\nHost: site.test\r\nContent-Length: 100000\r\n\r\nabc")
				_ = c.CloseWrite()
				rec := r.next()
				if rec.Status != 400 || rec.Cause != proxy.CauseClientGone || len(rec.Attempts) > 1 {
					t.Errorf("stream %v: got %+v, want nginx's 400", stream, rec)
				}
				r.wantLog("client closed during request body", "level=INFO")

				c = r.connect().send(chunkedHead + chunk(pattern(1, 30000)) + "no size\r\n")
				c.response("POST").want(t, 400, proxy.Page(400))
				if rec = r.next(); rec.Status != 400 || len(rec.Attempts) > 1 {
					t.Errorf("stream %v: got %+v, want a 400", stream, rec)
				}
				r.wantLog("request refused", `phase="reading client request body"`)
				for _, p := range r.group.Peers() {
					if p.Failures() != 0 {
						t.Error("the peer was blamed")
					}
				}
				if got := len(peer.Requests()); got != 0 {
					t.Errorf("the peer took %d requests for whole", got)
				}
			}
		})
	}
}

// TestHandler_SendsHeldBodyAgain: each attempt has the whole body, wherever it is held.
func TestHandler_SendsHeldBodyAgain(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{10, 10000, 200000} {
				closing := serve(t, wire, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
				r := start(t, setup{wire: wire, peers: at(closing.Addr(), closing.Addr(), serve(t, wire, echo).Addr())})
				r.do("PUT", "/", string(pattern(1, size))).want(t, 200, pattern(1, size))
				for _, req := range closing.Requests() {
					if !bytes.Equal(req.Body(), pattern(1, size)) {
						t.Errorf("got %d bytes at a peer, want %d", len(req.Body()), size)
					}
				}
			}
		})
	}
}

// TestHandler_DoesNotRepeatStreamedBody: what was passed on is gone.
func TestHandler_DoesNotRepeatStreamedBody(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			closing := serve(t, wire, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
			peers := at(closing.Addr(), serve(t, wire, echo).Addr())
			stream := func(o *relay.Options) { o.StreamBody = true }
			r := start(t, setup{wire: wire, peers: peers, options: stream})
			r.do("PUT", "/", "a body").want(t, 502, proxy.Page(502))

			peers[0].Address = refusing(t)
			r = start(t, setup{wire: wire, peers: peers, options: stream})
			r.do("PUT", "/", "a body").want(t, 200, []byte("a body")) // nothing had been passed on
		})
	}
}

// TestHandler_PassesEarlyAnswerOn: the peer answers before it has read the body.
func TestHandler_PassesEarlyAnswerOn(t *testing.T) {
	for _, stream := range []bool{false, true} {
		peer := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{
			Status: 413, Body: []byte("too much"), Fault: upstreamtest.EarlyAnswer,
		}))
		r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
		r.do("POST", "/", string(pattern(1, 500000))).want(t, 413, []byte("too much"))
		if rec := r.next(); !slices.Equal(rec.statuses(), []int{413}) || rec.Cause != "" {
			t.Errorf("got %+v, want the 413 of the peer", rec)
		}
	}
}

// TestHandler_AnswersWhatCannotBeSent: no peer can be asked, so none is blamed and none is tried after it.
func TestHandler_AnswersWhatCannotBeSent(t *testing.T) {
	f := func(wire upstreamtest.Wire, status int, text string, options func(*relay.Options)) {
		t.Helper()
		peer := serve(t, wire, good)
		r := start(t, setup{
			wire: wire, peers: at(peer.Addr(), peer.Addr()), params: cgi.Params{Root: "/srv"}, options: options,
		})
		r.connect().send(text).response("POST").want(t, status, proxy.Page(status))
		rec := r.next()
		if rec.Status != status || rec.Cause != "" || len(rec.Attempts) != 0 || len(peer.Requests()) != 0 {
			t.Errorf("got %+v and %d requests, want neither attempts nor a cause", rec, len(peer.Requests()))
		}
		for _, p := range r.group.Peers() {
			if p.Failures() != 0 {
				t.Error("the peer was blamed")
			}
		}
		r.wantLog("request not sent", "level=ERROR", "err=")
		r.wantNoLog("client gone")
	}
	fastcgi, uwsgi := upstreamtest.FastCGI{}, upstreamtest.UWSGI{}
	f(fastcgi, 404, request("GET", "/index.php:stream", ""), nil) // a stream, of a name that downstream takes on Windows too
	f(uwsgi, 431, request("GET", "/index.php", ""), func(o *relay.Options) {
		o.Params = []relay.Setting{{Name: "LARGE", Value: template(t, strings.Repeat("x", 65500))}}
	})
	f(fastcgi, 411, chunkedHead+chunk([]byte("x"))+lastChunk, func(o *relay.Options) { o.StreamBody, o.KnowLength = true, false })
}

// TestHandler_TellsPeerAboutClient: what only this hop knows replaces what the client claims.
func TestHandler_TellsPeerAboutClient(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			peer := serve(t, wire, good)
			r := start(t, setup{wire: wire, peers: at(peer.Addr()), options: func(o *relay.Options) {
				o.SetHeader = []relay.Setting{
					{Name: "X-Path", Value: template(t, "$uri?$args")},
					{Name: "x-forwarded-proto", Value: template(t, "spdy")},
					{Name: "Accept-Encoding", Value: template(t, "")},
				}
				o.Params = []relay.Setting{{Name: "SITE", Value: template(t, "$host:$scheme")}, {Name: "SERVER_NAME", Value: template(t, "x")}}
			}})
			r.connect().send("GET /a?b=c HTTP/1.1\r\nHost: Site.test:80\r\n"+
				"X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"+
				"x-path: evil\r\nAccept-Encoding: gzip\r\nCookie: a=1\r\n"+
				"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\nUpgrade: h2c\r\nProxy-Connection: x\r\n\r\n").
				response("GET").want(t, 200, []byte("good"))
			got := peer.Requests()[0]
			for name, want := range map[string][]string{
				"X-Forwarded-For": {"127.0.0.1"}, "X-Real-IP": {"127.0.0.1"}, "X-Forwarded-Proto": {"spdy"},
				"X-Forwarded-Host": {"Site.test:80"}, "X-Path": {"/a?b=c"}, "Accept-Encoding": nil, "Cookie": {"a=1"},
				"Host": {"Site.test:80"}, "X-Hop": nil, "Keep-Alive": nil, "TE": nil, "Upgrade": nil, "Proxy-Connection": nil,
			} {
				if values := got.Values(name); !slices.Equal(values, want) {
					t.Errorf("%s: got %q, want %q", name, values, want)
				}
			}
			if wire.Name() == "fastcgi" && (got.Params["SITE"] != "site.test:http" || got.Params["SERVER_NAME"] != "x") {
				t.Errorf("got params %q", got.Params)
			}
		})
	}
}

// TestHandler_HopByHopFieldsStayBehind: those of the peer do not reach the client, nor those that nginx hides.
func TestHandler_HopByHopFieldsStayBehind(t *testing.T) {
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			t.Parallel()
			peer := serve(t, wire, answer(upstreamtest.Answer{Body: []byte("good"), Header: []upstreamtest.Field{
				{Name: "Keep-Alive", Value: "timeout=5"},
				{Name: "Upgrade", Value: "h2c"},
				{Name: "Trailer", Value: "X"},
				{Name: "X-Accel-Expires", Value: "0"},
				{Name: "Server", Value: "peer"},
				{Name: "x-kept-Case", Value: "1"},
				{Name: "Set-Cookie", Value: "a=1"},
				{Name: "Set-Cookie", Value: "a=2"},
			}}))
			r := start(t, setup{wire: wire, peers: at(peer.Addr())})
			text := raw(t, r, request("GET", "/", ""))
			for _, absent := range []string{"Keep-Alive", "Upgrade", "Trailer", "X-Accel", "Server: peer", "Content-Type"} {
				if strings.Contains(text, absent) {
					t.Errorf("%s crossed the proxy: %q", absent, text)
				}
			}
			for _, present := range []string{"x-kept-Case: 1\r\n", "Set-Cookie: a=1\r\nSet-Cookie: a=2\r\n", "\r\n\r\ngood"} {
				if !strings.Contains(text, present) {
					t.Errorf("%q is missing in %q", present, text)
				}
			}
		})
	}
}

// raw sends a request and returns the bytes of the response.
func raw(t *testing.T, r *rig, text string) string {
	t.Helper()
	c := r.connect().send(strings.Replace(text, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	all, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func template(t *testing.T, text string) *proxy.Template {
	t.Helper()
	compiled, err := proxy.CompileTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestNew_WantsItsParts(t *testing.T) {
	if _, err := relay.New(relay.Options{}); err == nil {
		t.Error("got no error without a group")
	}
	group, err := upstream.NewGroup(upstream.GroupOptions{Name: "app", Protocol: http1.New(http1.Options{})})
	if err != nil {
		t.Fatal(err)
	}
	_, err = relay.New(relay.Options{
		Group: group, Picker: balancer.NewRoundRobin(), Arena: buffering.NewArena(0), SetHeader: []relay.Setting{{Name: "Bad Name"}},
	})
	if want := `relay: "Bad Name" is no name of a header field`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
