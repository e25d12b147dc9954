package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/proxy/routing"
	"spillway/upstream"
	"spillway/upstream/fastcgi"
	"spillway/upstream/http1"

	"github.com/valyala/fasthttp"
)

// bench is a Front whose location passes to one peer on a kept connection; it has no Listener.
type bench struct {
	front    *proxy.Front
	received strings.Reader // what reader reads
	reader   *bufio.Reader
	request  fasthttp.RequestHeader
	response fasthttp.ResponseHeader
	ex       proxy.Exchange
}

// newBench makes a bench. The peer answers each request, which ends with end, with the same bytes.
func newBench(
	tb testing.TB, protocol upstream.Protocol, end, response []byte, change func(*relay.Options),
) *bench {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	go answerAll(listener, end, response) // ends when the group closes its connection and the listener is closed
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Scheme: "http", Protocol: protocol, Keepalive: 4,
		Concurrency: 4, Queue: upstream.Queue{Length: 10}, HoldTimeout: patience,
		Peers: []upstream.PeerOptions{{Address: listener.Addr().String()}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		group.Close()
		listener.Close()
	})
	options := relay.Options{
		Group: group, Picker: balancer.NewRoundRobin(), Arena: buffering.NewArena(0),
		Limits:   buffering.Limits{BufferSize: bufferSize, Buffers: 8, BufferBytes: bufferSize},
		Timeouts: upstream.Timeouts{Connect: patience, Send: patience, Read: patience},
		Retry:    relay.RetryPolicy{On: relay.OnError | relay.OnTimeout},
	}
	change(&options)
	handler, err := relay.New(options)
	if err != nil {
		tb.Fatal(err)
	}
	var routes routing.Builder[*proxy.Route]
	site, err := routes.Server([]string{"_"}, true)
	if err != nil {
		tb.Fatal(err)
	}
	route := &proxy.Route{Site: &proxy.Site{Name: "site.test"}, Path: "/", Handler: handler}
	if err := site.Location(routing.Pattern{Path: "/"}, route); err != nil {
		tb.Fatal(err)
	}
	b := &bench{}
	b.front, err = proxy.New(proxy.Options{Routes: routes.Build(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		tb.Fatal(err)
	}
	b.reader = bufio.NewReader(&b.received)
	return b
}

// answerAll answers the requests of one connection after the other.
func answerAll(listener net.Listener, end, response []byte) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		answerConn(c, end, response)
	}
}

func answerConn(c net.Conn, end, response []byte) {
	defer c.Close()
	r := bufio.NewReader(c)
	window := make([]byte, 0, len(end))
	for {
		b, err := r.ReadByte()
		if err != nil {
			return
		}
		if len(window) == len(end) {
			copy(window, window[1:])
			window = window[:len(end)-1]
		}
		if window = append(window, b); bytes.Equal(window, end) {
			if _, err := c.Write(response); err != nil {
				return
			}
		}
	}
}

// do makes one exchange, as a Listener would, and returns the length of the body.
func (b *bench) do() int64 {
	ex := &b.ex
	b.received.Reset("GET /some/path?query=1 HTTP/1.1\r\nHost: site.test\r\nUser-Agent: test\r\n" +
		"Cookie: session=0123456789abcdef\r\nAccept: */*\r\n\r\n")
	b.reader.Reset(&b.received)
	if err := b.request.Read(b.reader); err != nil {
		return -1
	}
	ex.Request, ex.Response = &b.request, &b.response
	ex.Method, ex.Target, ex.Path = b.request.Method(), b.request.RequestURI(), b.request.RequestURI()[:10]
	ex.Query, ex.Proto, ex.Host = b.request.RequestURI()[11:], b.request.Protocol(), b.request.Host()
	ex.Scheme, ex.RemoteAddr, ex.RemotePort, ex.ServerAddr, ex.ServerPort = "http", "127.0.0.1", "40000", "127.0.0.1", "80"
	b.front.Serve(ex)
	n := int64(len(ex.Bytes))
	if ex.Content != nil {
		n, _ = ex.Content.WriteTo(io.Discard)
	}
	ex.Finish(nil)
	ex.Reset()
	b.response.Reset()
	return n
}

// stdoutRecords is a FastCGI response: two records with padding, and the end of the request.
const (
	stdoutRecords = "\x01\x06\x00\x01\x00\x24\x04\x00Content-Type: text/html\r\n\r\n123456789\x00\x00\x00\x00" +
		"\x01\x06\x00\x01\x00\x00\x00\x00\x01\x03\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	stdinEnd = "\x01\x05\x00\x01\x00\x00\x00\x00"
)

func benches(tb testing.TB) map[string]*bench {
	tb.Helper()
	ofHTTP := func(change func(*relay.Options)) *bench {
		return newBench(tb, http1.New(http1.Options{KeepAlive: true}), []byte("\r\n\r\n"),
			[]byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n\r\n123456789"), change)
	}
	none := func(*relay.Options) {}
	return map[string]*bench{
		"http": ofHTTP(none),
		"http, lane and guard": ofHTTP(func(o *relay.Options) {
			o.Poison = relay.NewPoisonGuard(relay.PoisonOptions{Group: o.Group})
			o.LearnLane, o.Pace = true, &relay.Pace{}
		}),
		"http, busy timeout": ofHTTP(func(o *relay.Options) { o.BusyTimeout = patience }),
		"http, sticky hash":  ofHTTP(stickyHash(tb)),
		"fastcgi":            newBench(tb, fastcgi.New(fastcgi.Options{KeepConn: true}), []byte(stdinEnd), []byte(stdoutRecords), none),
	}
}

// stickyHash has all that pickers ask for.
func stickyHash(tb testing.TB) func(*relay.Options) {
	tb.Helper()
	key, err := proxy.CompileTemplate("$host$request_uri")
	if err != nil {
		tb.Fatal(err)
	}
	return func(o *relay.Options) {
		o.Picker, o.Key = balancer.NewSticky(balancer.NewHash()), key
		o.Sticky = &relay.Sticky{Cookie: "session", Expires: time.Hour, Path: "/"}
	}
}

func TestHandler_SmallExchangeDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes pools forget")
	}
	for name, b := range benches(t) {
		if got := b.do(); got != 9 {
			t.Fatalf("%s: got a body of %d bytes, want 9", name, got)
		}
		if got := testing.AllocsPerRun(200, func() { b.do() }); got != 0 {
			t.Errorf("%s: got %v allocations, want 0", name, got)
		}
	}
}

func BenchmarkHandler(b *testing.B) {
	for name, bench := range benches(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				bench.do()
			}
		})
	}
}
