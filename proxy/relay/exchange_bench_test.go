package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/accesslog"
	"spillway/proxy/metrics"
	"spillway/proxy/relay"
	"spillway/proxy/routing"
	"spillway/proxy/why"
	"spillway/upstream"
)

// instant is a language in which the answer is there without a word over the connection, so that a benchmark sees what the rest of
// the exchange costs. Only a new connection is read, what greet sends: as that fills any memory, there may be more, so nobody waits
// any more.
type instant struct {
	fields []upstream.Field
	body   []byte
}

func (instant) Send(*upstream.Conn, *upstream.Request) error { return nil }

func (i instant) Receive(c *upstream.Conn, resp *upstream.Response) error {
	if !c.Reused() {
		for c.Received() < greeting {
			if _, err := c.Read(resp.Buf[:min(greeting-c.Received(), bufferSize)]); err != nil {
				return err
			}
		}
	}
	if err := resp.SetStatus(200); err != nil {
		return err
	}
	for _, f := range i.fields {
		resp.AddField(f.Name, f.Value)
	}
	resp.Length, resp.Complete, resp.Reusable = int64(len(i.body)), true, true
	resp.Prefix = resp.Buf[:copy(resp.Buf, i.body)]
	return nil
}

// BenchmarkExchange is a small exchange from its parsed head to Finish, with access log and metrics, but without the connections:
// the one system call in it asks whether the idle connection to the peer is still good. In parallel (-cpu 2) it shows what counters
// and locks cost that several processors write.
func BenchmarkExchange(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	go greet(listener) // ends with the listener
	front := newWholeFront(b, instant{
		fields: []upstream.Field{
			{Name: []byte("Content-Type"), Value: []byte("text/plain")},
			{Name: []byte("Content-Length"), Value: []byte("1024")},
		},
		body: bytes.Repeat([]byte("x"), 1024),
	}, listener.Addr().String())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		x := &bench{front: front}
		const head = "GET /bench HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
		if err := x.request.Read(bufio.NewReader(strings.NewReader(head))); err != nil {
			b.Error(err)
		}
		for pb.Next() {
			if n := x.again(); n != 1024 {
				b.Errorf("got a body of %d bytes, want 1024", n)
			}
		}
	})
}

// greeting is how many bytes greet sends: as many as are received ahead at most.
const greeting = 8 << 10

// greet sends the greeting to whoever connects.
func greet(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { // ends when the group closes the connection
			defer conn.Close()
			_, _ = conn.Write(make([]byte, greeting))
			_, _ = io.Copy(io.Discard, conn)
		}()
	}
}

// again makes one exchange of the request that was read before, and returns the length of the body.
func (b *bench) again() int64 {
	ex := &b.ex
	ex.Start = time.Now()
	ex.Request, ex.Response = &b.request, &b.response
	ex.Method, ex.Target, ex.Path = b.request.Method(), b.request.RequestURI(), b.request.RequestURI()
	ex.Proto, ex.Host = b.request.Protocol(), b.request.Host()
	ex.Scheme, ex.RemoteAddr, ex.RemotePort, ex.ServerAddr, ex.ServerPort = "http", "127.0.0.1", "40000", "127.0.0.1", "80"
	b.front.Serve(ex)
	n := int64(len(ex.Bytes))
	if ex.Content != nil {
		n, _ = ex.Content.WriteTo(io.Discard)
	}
	ex.BytesSent, ex.BodyBytesSent = n+200, n
	ex.Finish(nil)
	ex.Reset()
	b.response.Reset()
	return n
}

// newWholeFront returns a Front with all observers that the program has, and eight peers at the address.
func newWholeFront(tb testing.TB, protocol upstream.Protocol, address string) *proxy.Front {
	tb.Helper()
	group, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "app", Scheme: "http", Protocol: protocol, Keepalive: 64, KeepaliveRequests: 1 << 30,
		Queue: upstream.Queue{Length: 10}, HoldTimeout: patience, Retries: upstream.RetryBudget{Percent: 20, Min: 3},
		Peers: slices.Repeat([]upstream.PeerOptions{{Address: address, MaxFails: 1, FailTimeout: patience}}, 8),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(group.Close)
	handler, err := relay.New(relay.Options{
		Group: group, Picker: balancer.NewRoundRobin(), Arena: buffering.NewArena(0), Pace: &relay.Pace{},
		Limits:   buffering.Limits{BufferSize: bufferSize, Buffers: 8, BufferBytes: bufferSize},
		Timeouts: upstream.Timeouts{Connect: time.Minute, Send: time.Minute, Read: time.Minute},
		Retry:    relay.RetryPolicy{On: relay.OnError | relay.OnTimeout},
		Poison:   relay.NewPoisonGuard(relay.PoisonOptions{Group: group}),
	})
	if err != nil {
		tb.Fatal(err)
	}
	var routes routing.Builder[*proxy.Route]
	site, err := routes.Server([]string{"_"}, true)
	if err != nil {
		tb.Fatal(err)
	}
	if err := site.Location(routing.Pattern{Path: "/"}, &proxy.Route{Site: &proxy.Site{Name: "site.test"}, Path: "/", Handler: handler}); err != nil {
		tb.Fatal(err)
	}
	access, err := accesslog.New(accesslog.Options{Out: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	counters := metrics.New(metrics.Options{})
	counters.Expect("app", address)
	front, err := proxy.New(proxy.Options{
		Routes: routes.Build(), Log: slog.New(slog.DiscardHandler), Incidents: proxy.NewIncidents(),
		Observers: []func(*proxy.Exchange){counters.Observe, access.Observe, why.New(why.Limits{Keep: 100, Bytes: 1 << 20}).Observe},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return front
}
