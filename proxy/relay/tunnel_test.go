package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

const (
	askUpgrade = "GET /socket HTTP/1.1\r\nHost: site.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
	switched   = "HTTP/1.1 101 Go on\r\nUpgrade: Echo\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nX-Key: 2\r\nContent-Length: 9\r\n\r\n"
)

// rawPeer is a peer that a test plays by itself.
type rawPeer struct {
	*net.TCPConn

	r    *bufio.Reader
	head string // of the request
}

// playPeer starts a peer; play gets each of its connections with a request on it, which is closed when play returns.
func playPeer(t *testing.T, play func(p *rawPeer)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	go func() { // ends when the listener is closed
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p := &rawPeer{TCPConn: conn.(*net.TCPConn), r: bufio.NewReader(conn)}
			_ = p.SetDeadline(time.Now().Add(patience))
			for line := ""; line != "\r\n" && err == nil; {
				line, err = p.r.ReadString('\n')
				p.head += line
			}
			play(p)
			_ = p.Close()
		}
	}()
	return listener.Addr().String()
}

// write sends text, and all that is sent later as well if the peer closes meanwhile.
func (p *rawPeer) write(text string) { _, _ = io.WriteString(p.TCPConn, text) }

// echoing answers 101 and sends everything back.
func echoing(p *rawPeer) {
	p.write(switched)
	_, _ = io.Copy(p.TCPConn, p.r)
}

func upgrading(o *relay.Options) { o.Upgrade, o.UpgradeTimeout = true, patience }

// openTunnel starts a rig whose peer is played, and opens a tunnel.
func openTunnel(t *testing.T, change func(*relay.Options), play func(p *rawPeer)) (*rig, *client) {
	t.Helper()
	r := start(t, setup{peers: at(playPeer(t, play)), why: proxy.NewIncidents(), options: func(o *relay.Options) {
		upgrading(o)
		if change != nil {
			change(o)
		}
	}})
	c := r.connect().send(askUpgrade)
	resp := c.head("GET")
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Upgrade") != "Echo" || resp.Header.Get("Connection") != "upgrade" {
		t.Fatalf("got %d %v, want a 101 to echo", resp.StatusCode, resp.Header)
	}
	return r, c
}

func TestTunnel_PassesBothWays(t *testing.T) {
	f := func(size int) {
		asked := make(chan string, 1)
		r, c := openTunnel(t, nil, func(p *rawPeer) {
			asked <- p.head
			p.write(switched + "first")
			_, _ = io.Copy(p.TCPConn, p.r)
		})
		if now, total := r.group.Upgraded(); now != 1 || total != 1 || r.group.Peers()[0].Inflight() != 1 {
			t.Errorf("got %d of %d tunnels, want one that holds a slot", now, total)
		}
		sent := pattern(1, size)
		go func() { // ends when all is sent
			_, _ = c.Write(sent)
			_ = c.CloseWrite()
		}()
		got, err := io.ReadAll(c.r)
		if err != nil || string(got[:5]) != "first" || !bytes.Equal(got[5:], sent) {
			t.Errorf("got %d bytes, %v, want the %d sent", len(got), err, 5+len(sent))
		}
		rec := r.next()
		if rec.Status != 101 || !slices.Equal(rec.statuses(), []int{101}) || rec.Truncated || rec.Attempts[0].ReceivedBody != int64(size+5) {
			t.Errorf("got %+v, want a whole 101", rec)
		}
		until(t, "the tunnel is closed", func() bool { now, _ := r.group.Upgraded(); return now == 0 && r.idlePeers() })
		if head := <-asked; !strings.Contains(head, "Connection: upgrade\r\nUpgrade: echo\r\n") {
			t.Errorf("the peer was asked %q", head)
		}
		if text := r.log.String(); strings.Contains(text, "level=ERROR") || strings.Contains(text, "client gone") {
			t.Errorf("got %s", text)
		}
	}
	f(0)
	f(3)
	f(3 << 20)
}

func TestTunnel_StripsTheConnectionsFields(t *testing.T) {
	r := start(t, setup{peers: at(playPeer(t, echoing)), options: upgrading})
	resp := r.connect().send(askUpgrade).head("GET")
	resp.Header.Del("Date")
	want := http.Header{"Connection": {"upgrade"}, "Upgrade": {"Echo"}, "X-Key": {"2"}, "Server": {"spillway"}}
	for name, values := range resp.Header {
		if !slices.Equal(values, want[name]) {
			t.Errorf("got %s: %q, want %q", name, values, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("got no %v", want)
	}
}

// TestTunnel_HalfClose: the end of one direction leaves the other one open.
func TestTunnel_HalfClose(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		r, c := openTunnel(t, nil, func(p *rawPeer) {
			p.write(switched)
			all, _ := io.ReadAll(p.r)
			p.write("got " + string(all))
		})
		c.send("all of it")
		_ = c.CloseWrite()
		if got, err := io.ReadAll(c.r); err != nil || string(got) != "got all of it" {
			t.Errorf("got %q, %v", got, err)
		}
		r.next()
	})
	t.Run("peer", func(t *testing.T) {
		got := make(chan string, 1)
		r, c := openTunnel(t, nil, func(p *rawPeer) {
			p.write(switched + "bye")
			_ = p.CloseWrite()
			all, _ := io.ReadAll(p.r)
			got <- string(all)
		})
		if bye, err := io.ReadAll(c.r); err != nil || string(bye) != "bye" {
			t.Errorf("got %q, %v", bye, err)
		}
		c.send("last ").send("words")
		_ = c.CloseWrite()
		if got := <-got; got != "last words" {
			t.Errorf("the peer got %q", got)
		}
		if rec := r.next(); rec.Truncated {
			t.Errorf("got %+v, want a tunnel that ended in order", rec)
		}
	})
}

func TestTunnel_EndsInSilence(t *testing.T) {
	r, c := openTunnel(t, func(o *relay.Options) { o.UpgradeTimeout = hurry }, echoing)
	if got, err := io.ReadAll(c.r); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v, want the end in order", got, err)
	}
	if rec := r.next(); rec.Why != "" {
		t.Errorf("got incident %s, want none: so many a tunnel ends", rec.Why)
	}
	r.wantLog("peer failed", "level=ERROR", "upstream timed out", `phase="proxying upgraded connection"`)
	if r.group.Peers()[0].Fails() != 0 {
		t.Error("the peer was blamed")
	}
}

func TestTunnel_EitherSideBreaks(t *testing.T) {
	t.Run("peer", func(t *testing.T) {
		opened := make(chan struct{})
		r, c := openTunnel(t, nil, func(p *rawPeer) {
			p.write(switched)
			<-opened
			_ = p.SetLinger(0)
		})
		close(opened)
		if _, err := io.ReadAll(c.r); err == nil {
			t.Error("got the end in order, want a reset")
		}
		rec := r.next()
		if rec.Status != 101 || !rec.Truncated || rec.Why == "" || rec.Attempts[0].Err == nil {
			t.Errorf("got %+v, want a truncated 101 that is an incident", rec)
		}
		r.wantLog("peer failed", "level=ERROR", `phase="proxying upgraded connection"`, "exchange.why="+rec.Why)
	})
	t.Run("client", func(t *testing.T) {
		ended := make(chan struct{})
		r, c := openTunnel(t, nil, func(p *rawPeer) {
			echoing(p)
			close(ended)
		})
		_ = c.SetLinger(0)
		_ = c.Close()
		<-ended
		if r.next().Truncated { // under Wine a reset may look like the end of the stream
			r.wantLog("client gone", "level=INFO", `phase="proxying upgraded connection"`)
		}
		r.wantNoLog("peer failed")
	})
}

// TestTunnel_IsNoStuckRequest: busy_timeout is for requests.
func TestTunnel_IsNoStuckRequest(t *testing.T) {
	r, c := openTunnel(t, func(o *relay.Options) {
		o.BusyTimeout = hurry
		o.OnStuck = func(*upstream.Peer, time.Duration) { t.Error("the process was taken for stuck") }
	}, echoing)
	for began := time.Now(); time.Since(began) < 3*hurry; {
		c.send("x")
		if b, err := c.r.ReadByte(); err != nil || b != 'x' {
			t.Fatalf("got %q, %v, want x", b, err)
		}
	}
	_ = c.Close()
	r.next()
}

// TestUpgrade_PeerDecides: without a 101 the answer is one as any other, and so is the next request.
func TestUpgrade_PeerDecides(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, good)
	r := start(t, setup{peers: at(peer.Addr()), options: upgrading})
	c := r.connect().send(askUpgrade + request("GET", "/next", ""))
	for range 2 {
		c.response("GET").want(t, 200, []byte("good"))
	}
	if first, next := peer.Requests()[0], peer.Requests()[1]; !slices.Equal(first.Values("Upgrade"), []string{"echo"}) ||
		next.Target != "/next" || next.Values("Upgrade") != nil || next.Values("Connection") != nil {
		t.Errorf("got %+v and %+v", first, next)
	}
}

func TestUpgrade_Refuses101(t *testing.T) {
	f := func(title, ask, answer, log string, change func(*relay.Options)) {
		t.Helper()
		t.Run(title, func(t *testing.T) {
			r := start(t, setup{peers: at(playPeer(t, func(p *rawPeer) {
				p.write(answer)
				_, _ = io.Copy(io.Discard, p.r)
			})), options: change})
			c := r.connect().send(ask)
			if got := c.response("GET"); got.status != 502 {
				t.Errorf("got %d, want 502", got.status)
			}
			rec := r.next()
			if rec.Cause != proxy.CauseInvalid {
				t.Errorf("got %+v, want an invalid response", rec)
			}
			r.wantLog("peer failed", log, `phase="reading response header from upstream"`)
		})
	}
	invalid := `upstream sent invalid status \"101\"`
	f("not asked for", request("GET", "/", ""), switched, invalid, upgrading)
	f("upgrade off", askUpgrade, switched, invalid, nil)
	f("another protocol", askUpgrade, strings.Replace(switched, "Echo", "chess", 1), "another protocol", upgrading)
	f("no protocol", askUpgrade, strings.Replace(switched, "Upgrade: Echo\r\n", "", 1), "another protocol", upgrading)
}

// TestUpgrade_NotBeforeTheRequest: a peer cannot switch in the middle of a request's body.
func TestUpgrade_NotBeforeTheRequest(t *testing.T) {
	answered := make(chan struct{})
	r := start(t, setup{peers: at(playPeer(t, func(p *rawPeer) {
		p.write(switched)
		close(answered)
		_, _ = io.Copy(io.Discard, p.r)
	})), options: func(o *relay.Options) {
		upgrading(o)
		o.StreamBody = true
	}})
	c := r.connect().send(strings.Replace(askUpgrade, "\r\n\r\n", "\r\nContent-Length: 9\r\n\r\n123", 1))
	<-answered
	if got := c.send("4").response("GET"); got.status != 502 {
		t.Errorf("got %d, want 502", got.status)
	}
	r.wantLog("peer failed", "before it had got the whole request")
}

func TestUpgrade_FastCGIHasNone(t *testing.T) {
	peer := serve(t, upstreamtest.FastCGI{}, answer(upstreamtest.Answer{Status: 101, Header: []upstreamtest.Field{{Name: "Upgrade", Value: "echo"}}}))
	r := start(t, setup{wire: upstreamtest.FastCGI{}, peers: at(peer.Addr()), options: upgrading})
	if got := r.connect().send(askUpgrade).response("GET"); got.status != 502 {
		t.Errorf("got %d, want 502", got.status)
	}
}

// TestUpgrade_SetHeader: nginx's way, proxy_set_header Upgrade, works with upgrade off, and never for a client that does not ask.
func TestUpgrade_SetHeader(t *testing.T) {
	peer := serve(t, upstreamtest.HTTP{}, good)
	f := func(on bool, ask, value, want string) {
		t.Helper()
		template, err := proxy.CompileTemplate(value)
		if err != nil {
			t.Fatal(err)
		}
		connection, err := proxy.CompileTemplate("upgrade")
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, setup{peers: at(peer.Addr()), options: func(o *relay.Options) {
			o.Upgrade = on
			o.SetHeader = []relay.Setting{{Name: "upgrade", Value: template}, {Name: "Connection", Value: connection}}
		}})
		r.connect().send(ask).response("GET").want(t, 200, []byte("good"))
		requests := peer.Requests()
		got := requests[len(requests)-1]
		if strings.Join(got.Values("Upgrade"), "+") != want || (want == "") != (got.Values("Connection") == nil) {
			t.Errorf("upgrade %v, %q: got %+v, want Upgrade: %s", on, value, got.Header, want)
		}
	}
	f(false, askUpgrade, "$http_upgrade", "echo")
	f(false, askUpgrade, "fixed", "fixed")
	f(true, askUpgrade, "", "")
	f(true, request("GET", "/", ""), "$http_upgrade", "")
	f(true, request("GET", "/", ""), "websocket", "")
}
