package relay_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"spillway/proxy/relay"
	"spillway/upstream/upstreamtest"
)

// What goes beside the response: interim responses before it, fields behind its body.

// answerRaw is a peer that answers every request with the same bytes.
func answerRaw(text string) func(p *rawPeer) {
	return func(p *rawPeer) {
		p.write(text)
		_, _ = io.Copy(io.Discard, p.r)
	}
}

// ask sends a request on a connection of its own and returns all that comes, the Date line taken out. The server closes, since a
// client that does could be taken for one that has left; an answer to HTTP/1.1 is returned as if it had not been asked to.
func (r *rig) ask(request string) string {
	r.t.Helper()
	var closing string
	ours := "Connection: close\r\n"
	switch {
	case strings.Contains(request, "HTTP/1.0"):
		closing, ours = request, ""
	case strings.Contains(request, "Connection: "):
		closing = strings.Replace(request, "Connection: ", "Connection: close, ", 1)
	default:
		closing = strings.Replace(request, "\r\n", "\r\n"+ours, 1)
	}
	all, err := io.ReadAll(r.connect().send(closing).r)
	if err != nil {
		r.t.Fatal(err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(all)) {
		if !strings.HasPrefix(line, "Date: ") && line != ours {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func TestEarlyHints(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nX-Accel-Expires: 1\r\n" +
		"X-Private: 1\r\nServer: x\r\nlink: </b.js>\r\n\r\n"
	const rest = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Final: 1\r\n\r\nok"
	const passed = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.js>\r\n\r\n"
	const final = "HTTP/1.1 200 OK\r\nServer: spillway\r\nContent-Length: 2\r\nX-Final: 1\r\n"
	f := func(on bool, answer, request, want string) {
		t.Helper()
		r := start(t, setup{peers: at(playPeer(t, answerRaw(answer))), options: func(o *relay.Options) {
			o.EarlyHints = on
			o.Fields.Hide = []string{"X-Private"}
		}})
		if got := r.ask(request); got != want {
			t.Errorf("early_hints %v, %q: got\n%s\nwant\n%s", on, request, got, want)
		}
	}
	http11, http10 := request("GET", "/", ""), "GET / HTTP/1.0\r\n\r\n"
	f(true, hints+rest, http11, passed+final+"\r\nok")
	f(true, "HTTP/1.1 100 Continue\r\n\r\n"+hints+"HTTP/1.1 102 P\r\n\r\n"+hints+rest, http11, passed+passed+final+"\r\nok")
	f(false, hints+rest, http11, final+"\r\nok")
	f(true, hints+rest, http10, final+"Connection: close\r\n\r\nok")
}

// TestEarlyHints_ComeEarly: they are with the client before the peer sends its response.
func TestEarlyHints_ComeEarly(t *testing.T) {
	seen := make(chan struct{})
	r := start(t, setup{peers: at(playPeer(t, func(p *rawPeer) {
		p.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
		<-seen
		p.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})), options: func(o *relay.Options) { o.EarlyHints = true }})
	c := r.connect().send(request("GET", "/", ""))
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = c.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(seen)
	c.response("GET").want(t, 200, nil)
}

func TestInterim_MoreThanTenAreRefused(t *testing.T) {
	for _, early := range []bool{false, true} {
		many := strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 11) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
		r := start(t, setup{peers: at(playPeer(t, answerRaw(many))), options: func(o *relay.Options) { o.EarlyHints = early }})
		if got := r.ask(request("GET", "/", "")); strings.Count(got, "HTTP/1.1 502") != 1 || strings.Contains(got, "HTTP/1.1 200") {
			t.Errorf("early_hints %v: got %s, want a 502", early, got)
		}
		r.wantLog("peer failed", "upstream sent too many interim responses")
	}
}

// TestTrailers: only a client that asks, of HTTP/1.1, gets them, and only behind chunks; nobody gets one that belongs to the head.
func TestTrailers(t *testing.T) {
	const trailers = "X-Sum: 1\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\nX-Accel-Redirect: /x\r\nX-Private: 1\r\nTransfer-Encoding: chunked\r\nX-Empty:\r\n"
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	const small = head + "2\r\nok\r\n0\r\n" + trailers + "\r\n"
	large := head + "3000\r\n" + strings.Repeat("x", 0x3000) + "\r\n2\r\nok\r\n0\r\n" + trailers + "\r\n"
	const asks = "GET / HTTP/1.1\r\nHost: site.test\r\nConnection: TE\r\nTE: gzip;q=0.5, trailers\r\n\r\n"
	f := func(answer, request string, unbuffer bool, want string) {
		t.Helper()
		peer := make(chan string, 1)
		r := start(t, setup{peers: at(playPeer(t, func(p *rawPeer) {
			peer <- p.head
			answerRaw(answer)(p)
		})), options: func(o *relay.Options) {
			o.Unbuffer = unbuffer
			o.Fields.Hide = []string{"x-private"}
		}})
		if got := r.ask(request); !strings.HasSuffix(got, want) || strings.Contains(strings.TrimSuffix(got, want), "X-Sum") {
			t.Errorf("%.40q, unbuffered %v: got %.300s, want %q at its end", request, unbuffer, got, want)
		}
		asked := strings.Contains(<-peer, "Connection: TE\r\nTE: trailers\r\n")
		if asked != (request == asks) {
			t.Errorf("%.40q: the peer was asked for trailers: %v", request, asked)
		}
	}
	const passed = "0\r\nX-Sum: 1\r\nX-Empty: \r\n\r\n"
	for _, unbuffer := range []bool{false, true} {
		f(small, asks, unbuffer, "2\r\nok\r\n"+passed)
		f(large, asks, unbuffer, passed)
		f(large, request("GET", "/", ""), unbuffer, "\r\n0\r\n\r\n")
		f(large, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n", unbuffer, "xxok")
		f("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", asks, unbuffer, "\r\n\r\nok")
		f(head+"2\r\nok\r\n0\r\n\r\n", asks, unbuffer, "ok")
	}
	f(small, request("GET", "/", ""), false, "\r\n\r\nok")
}

// TestTrailers_OfRequestsAreDropped: none goes to the peer, in whichever way the body goes.
func TestTrailers_OfRequestsAreDropped(t *testing.T) {
	for _, stream := range []bool{false, true} {
		peer := serve(t, upstreamtest.HTTP{}, good)
		r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
		c := r.connect().send("POST / HTTP/1.1\r\nHost: site.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Trailer: 1\r\nHost: evil\r\n\r\n")
		c.response("POST").want(t, 200, []byte("good"))
		if got := peer.Requests()[0]; string(got.Body()) != "hi" || got.Values("X-Trailer") != nil || len(got.Values("Host")) != 1 {
			t.Errorf("got %+v", got)
		}
	}
}

// TestExpect: the client is told to send its body, once, and the peer gets it without an expectation.
func TestExpect(t *testing.T) {
	for _, stream := range []bool{false, true} {
		peer := serve(t, upstreamtest.HTTP{}, good)
		r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) { o.StreamBody = stream }})
		c := r.connect()
		for range 2 {
			c.send("PUT / HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
			if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("got %q, %v, want to be told to continue", line, err)
			}
			if line, err := c.r.ReadString('\n'); err != nil || line != "\r\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			c.send("body").response("PUT").want(t, 200, []byte("good"))
		}
		for _, got := range peer.Requests() {
			if string(got.Body()) != "body" || got.Values("Expect") != nil || !slices.Equal(got.Values("Content-Length"), []string{"4"}) {
				t.Errorf("got %+v", got)
			}
		}
	}
}

// TestExpect_RefusedByThePeer: a peer that does not want the body has its answer with the client, which still sends.
func TestExpect_RefusedByThePeer(t *testing.T) {
	addr := playPeer(t, answerRaw("HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"))
	r := start(t, setup{peers: at(addr), options: func(o *relay.Options) { o.StreamBody = true }})
	c := r.connect().send("PUT / HTTP/1.1\r\nHost: site.test\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
	sent := make(chan struct{})
	go func() { // ends when the server closes
		defer close(sent)
		for piece := make([]byte, 64<<10); ; {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}()
	resp := c.head("PUT")
	if resp.StatusCode == http.StatusContinue {
		resp = c.head("PUT")
	}
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden || string(body) != "no" || err != nil {
		t.Errorf("got %d %q, %v, want the peer's 403", resp.StatusCode, body, err)
	}
	_ = c.Close()
	<-sent
}

// TestStream_EventByEvent: each piece that a peer sends is with the client before it sends the next one, with buffers or without,
// in whichever framing.
func TestStream_EventByEvent(t *testing.T) {
	f := func(head, format, version string, unbuffer bool) {
		t.Helper()
		next := make(chan struct{})
		r := start(t, setup{peers: at(playPeer(t, func(p *rawPeer) {
			p.write(head)
			for i := range 5 {
				p.write(strings.ReplaceAll(format, "#", string(rune('0'+i))))
				<-next
			}
			if strings.Contains(head, "chunked") {
				p.write("0\r\n\r\n")
			}
		})), options: func(o *relay.Options) { o.Unbuffer = unbuffer }})
		c := r.connect().send("GET / " + version + "\r\nHost: site.test\r\n\r\n")
		resp := c.head("GET")
		for i := range 5 {
			got := make([]byte, len("data: #\n\n"))
			if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != "data: "+string(rune('0'+i))+"\n\n" {
				t.Fatalf("event %d: got %q, %v", i, got, err)
			}
			next <- struct{}{}
		}
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("got %q, %v, want the end", rest, err)
		}
	}
	for _, version := range []string{"HTTP/1.1", "HTTP/1.0"} {
		for _, unbuffer := range []bool{false, true} {
			f("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\ndata: #\n\n\r\n", version, unbuffer)
			f("HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n", "data: #\n\n", version, unbuffer)
			f("HTTP/1.0 200 OK\r\n\r\n", "data: #\n\n", version, unbuffer)
		}
	}
}
