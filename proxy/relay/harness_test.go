package relay_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/buffering"
	"spillway/proxy"
	"spillway/proxy/downstream"
	"spillway/proxy/relay"
	"spillway/proxy/routing"
	"spillway/upstream"
	"spillway/upstream/cgi"
	"spillway/upstream/fastcgi"
	"spillway/upstream/http1"
	"spillway/upstream/scgi"
	"spillway/upstream/upstreamtest"
	"spillway/upstream/uwsgi"
)

// patience bounds what a failing test waits for; hurry is a timeout that is meant to run out.
const (
	patience = 20 * time.Second
	hurry    = 100 * time.Millisecond
)

// bufferSize is the buffer_size of all tests.
const bufferSize = 4096

// atOnce is how many parallel tests run at a time, unless -parallel says it: most of them wait for a timeout.
const atOnce = "8"

// TestMain checks that no goroutine works for the relay when all tests have ended.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", atOnce); err != nil {
		panic(err)
	}
	code := m.Run()
	for deadline := time.Now().Add(patience); code == 0 && relaying(); runtime.Gosched() {
		if time.Now().After(deadline) {
			_, _ = os.Stderr.WriteString("goroutines of the relay are left\n")
			code = 1
		}
	}
	os.Exit(code)
}

// relaying says whether a goroutine is in the relay.
func relaying() bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "spillway/proxy/relay.(*")
}

// rig is a Listener whose only location passes to a group; everything is real but the peers.
type rig struct {
	t     *testing.T
	addr  string
	arena *buffering.Arena
	spill *buffering.SpillDir
	group *upstream.Group
	log   *logLines
	ended chan record // of each exchange, in the order of their ends
}

// record is what the access log would see of an exchange.
type record struct {
	Status    int
	Attempts  []proxy.Attempt
	Cause     proxy.Cause
	Spilled   int64
	Truncated bool
	Upstream  string
	Queued    time.Duration
	Panics    int
	Why       string
	Scene     *proxy.Scene
	Stderr    string
	Killed    []uint64
}

// setup says what a rig is made of.
type setup struct {
	wire    upstreamtest.Wire // nil: HTTP
	peers   []upstream.PeerOptions
	group   func(*upstream.GroupOptions)
	options func(*relay.Options)
	around  func(proxy.Handler) proxy.Handler // nil: nothing is between the relay and the client
	others  []*proxy.Route                    // further locations with the same handler
	pages   []proxy.ErrorPage                 // of the location /
	params  cgi.Params
	disk    int64                        // budget of the spill folder; 0: no limit
	log     func(io.Writer) slog.Handler // nil: keys and values
	why     *proxy.Incidents             // nil: nothing that fails gets an id
}

// wires are the languages that peers speak; most tests are run with each.
func wires() []upstreamtest.Wire {
	return []upstreamtest.Wire{upstreamtest.HTTP{}, upstreamtest.FastCGI{}, upstreamtest.SCGI{}, upstreamtest.UWSGI{}}
}

// newProtocol returns the language, with connections that are kept where it can.
func (s *setup) newProtocol() upstream.Protocol {
	switch s.wire.Name() {
	case "fastcgi":
		return fastcgi.New(fastcgi.Options{KeepConn: true, Params: s.params})
	case "scgi":
		return scgi.New(scgi.Options{Params: s.params})
	case "uwsgi":
		return uwsgi.New(uwsgi.Options{Params: s.params})
	default:
		return http1.New(http1.Options{KeepAlive: true})
	}
}

// start starts a rig. When the test ends it is checked that nothing is left of its exchanges.
func start(t *testing.T, s setup) *rig {
	t.Helper()
	if s.wire == nil {
		s.wire = upstreamtest.HTTP{}
	}
	spill, err := buffering.OpenSpillDir(t.TempDir(), s.disk)
	if err != nil {
		t.Fatal(err)
	}
	groupOptions := upstream.GroupOptions{
		Name: "app", Scheme: s.wire.Name(), Protocol: s.newProtocol(), Peers: s.peers, Keepalive: 8,
	}
	if s.group != nil {
		s.group(&groupOptions)
	}
	group, err := upstream.NewGroup(groupOptions)
	if err != nil {
		t.Fatal(err)
	}
	if s.log == nil {
		s.log = func(out io.Writer) slog.Handler {
			return slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug})
		}
	}
	r := &rig{
		t: t, arena: buffering.NewArena(0), spill: spill, group: group, log: &logLines{}, ended: make(chan record, 1000),
	}
	options := relay.Options{
		Group: group, Picker: balancer.NewRoundRobin(), Arena: r.arena, Spill: spill,
		Limits: buffering.Limits{
			BufferSize: bufferSize, Buffers: 8, BufferBytes: bufferSize, MaxTempFile: 1 << 30, TempFileWrite: 4 * bufferSize,
		},
		Timeouts:   upstream.Timeouts{Connect: patience, Send: patience, Read: patience},
		Retry:      relay.RetryPolicy{On: relay.OnError | relay.OnTimeout},
		BodyMemory: 16 << 10, KnowLength: s.wire.Name() != "http",
	}
	if s.options != nil {
		s.options(&options)
	}
	handler, err := relay.New(options)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(s.log(r.log))
	if s.around == nil {
		r.listen(handler, log, &s)
	} else {
		r.listen(s.around(handler), log, &s)
	}
	return r
}

// listen puts the handler behind a Listener.
func (r *rig) listen(handler proxy.Handler, log *slog.Logger, s *setup) {
	t := r.t
	t.Helper()
	var routes routing.Builder[*proxy.Route]
	site, err := routes.Server([]string{"_"}, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range append(s.others, &proxy.Route{Path: "/", ErrorPages: s.pages}) {
		route.Site, route.Handler = &proxy.Site{Name: "site.test"}, handler
		if err := site.Location(routing.Pattern{Path: route.Path}, route); err != nil {
			t.Fatal(err)
		}
	}
	front, err := proxy.New(proxy.Options{
		Routes: routes.Build(), Log: log, Observers: []func(*proxy.Exchange){r.observe}, Incidents: s.why,
	})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := downstream.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = socket.Addr().String()
	l, err := downstream.New(downstream.Options{Listener: socket, Front: func() *proxy.Front { return front }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- l.Serve() }() // ends at Shutdown
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		over, end := context.WithCancel(ctx)
		end()
		if err := errors.Join(l.StopAccepting(over), l.Shutdown(ctx)); err != nil { // nobody is on the way: there is no pause for them
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		r.checkNothingLeft()
	})
}

func (r *rig) observe(ex *proxy.Exchange) {
	r.ended <- record{
		Status: ex.Status(), Attempts: slices.Clone(ex.Attempts), Cause: ex.Cause, Spilled: ex.Spilled,
		Truncated: ex.Truncated, Upstream: ex.Upstream, Queued: ex.Queued, Panics: ex.Panics(),
		Why: ex.Why(), Scene: ex.Scene, Stderr: string(ex.Stderr), Killed: ex.Killed,
	}
}

// checkNothingLeft checks that all exchanges, which have ended, have given everything back.
func (r *rig) checkNothingLeft() {
	t := r.t
	t.Helper()
	r.group.Close()
	for _, p := range r.group.Peers() {
		if got := p.Inflight(); got != 0 {
			t.Errorf("peer %d: got %d connections in flight, want 0", p.Index(), got)
		}
	}
	if got := r.arena.InUse(); got != 0 {
		t.Errorf("got %d bytes of buffers in use, want 0", got)
	}
	if got := r.spill.Files(); got != 0 {
		t.Errorf("got %d spill files, want 0", got)
	}
	if text := r.log.String(); strings.Contains(text, "msg=panic ") {
		t.Errorf("a panic was logged:\n%s", text)
	}
}

// next returns the record of the exchange that ended next.
func (r *rig) next() record {
	r.t.Helper()
	select {
	case rec := <-r.ended:
		return rec
	case <-time.After(patience):
		r.t.Fatal("no exchange ended")
		return record{}
	}
}

// until waits for something that another goroutine brings about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// idlePeers says whether no peer works for the rig.
func (r *rig) idlePeers() bool {
	return !slices.ContainsFunc(r.group.Peers(), func(p *upstream.Peer) bool { return p.Inflight() != 0 })
}

// logLines collects what is logged.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wantLog checks that a message was logged once, with all of the parts in its line.
func (r *rig) wantLog(message string, parts ...string) {
	r.t.Helper()
	var found []string
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "msg="+message+" ") || strings.Contains(line, fmt.Sprintf("msg=%q ", message)) {
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		r.t.Errorf("got %d lines %q, want 1, in:\n%s", len(found), message, r.log)
		return
	}
	for _, part := range parts {
		if !strings.Contains(found[0], part) {
			r.t.Errorf("got %s, want %s in it", found[0], part)
		}
	}
}

// wantNoLog checks that a message was not logged.
func (r *rig) wantNoLog(message string) {
	r.t.Helper()
	if strings.Contains(r.log.String(), message) {
		r.t.Errorf("got %q in the log:\n%s", message, r.log)
	}
}

// client is a raw connection to a rig.
type client struct {
	*net.TCPConn

	t *testing.T
	r *bufio.Reader
}

func (r *rig) connect() *client {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &client{TCPConn: c.(*net.TCPConn), t: r.t, r: bufio.NewReader(c)}
}

// send sends a request, or a part of one.
func (c *client) send(text string) *client {
	c.t.Helper()
	if _, err := io.WriteString(c.TCPConn, text); err != nil {
		c.t.Fatal(err)
	}
	return c
}

// head reads the head of a response; its body is still to be read.
func (c *client) head(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read response: %v", err)
	}
	return resp
}

// response is a response that was read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
	err    error // of the body: it was cut
}

func (c *client) response(method string) response {
	c.t.Helper()
	resp := c.head(method)
	body, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, body, err}
}

// request is a request without or with a body of declared length.
func request(method, target, body string) string {
	if body == "" {
		return method + " " + target + " HTTP/1.1\r\nHost: site.test\r\n\r\n"
	}
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: site.test\r\nContent-Length: %d\r\n\r\n%s", method, target, len(body), body)
}

// do sends a request on a connection of its own and reads the response.
func (r *rig) do(method, target, body string) response {
	r.t.Helper()
	c := r.connect()
	defer c.Close()
	return c.send(request(method, target, body)).response(method)
}

// want checks a whole response.
func (r response) want(t *testing.T, status int, body []byte) {
	t.Helper()
	if r.status != status {
		t.Errorf("got status %d, want %d", r.status, status)
	}
	if r.err != nil {
		t.Errorf("got a body that is cut: %v", r.err)
	}
	if !bytes.Equal(r.body, body) {
		t.Errorf("got %d bytes (%.60q), want %d (%.60q)", len(r.body), r.body, len(body), body)
	}
}

// statuses are those of the attempts, as $upstream_status shows them.
func (r record) statuses() []int {
	var all []int
	for i := range r.Attempts {
		all = append(all, r.Attempts[i].Status)
	}
	return all
}

// pattern is a body in which no two places look alike, and no two bodies.
func pattern(seed, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.BigEndian.AppendUint64(b, uint64(seed)<<40|uint64(len(b)))
	}
	return b[:n:n]
}

// serve starts a peer.
func serve(t *testing.T, wire upstreamtest.Wire, handler func(*upstreamtest.Request) upstreamtest.Answer) *upstreamtest.Server {
	t.Helper()
	return upstreamtest.NewServer(t, wire, handler)
}

// answer is a handler that always does the same.
func answer(a upstreamtest.Answer) func(*upstreamtest.Request) upstreamtest.Answer {
	return func(*upstreamtest.Request) upstreamtest.Answer { return a }
}

// good is the handler of a peer that works.
var good = answer(upstreamtest.Answer{Body: []byte("good")})

// refusing returns the address of a peer that refuses connections. Its port is held on another address, so that nobody else
// gets it, such as the rig itself.
func refusing(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.2", port)
}

// at returns the peers at the addresses, with nginx's defaults.
func at(addresses ...string) []upstream.PeerOptions {
	var peers []upstream.PeerOptions
	for _, address := range addresses {
		peers = append(peers, upstream.PeerOptions{Address: address, MaxFails: 1, FailTimeout: 10 * time.Second})
	}
	return peers
}
