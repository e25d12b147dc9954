package relay_test

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// waiting are the options of a group whose requests wait for one slot per peer, and for processes.
func waiting(o *upstream.GroupOptions) {
	o.Concurrency, o.Queue, o.HoldTimeout = 1, upstream.Queue{Length: 2, Timeout: patience}, patience
}

// gated is a peer whose answers wait for gate; asked gets an element with each request.
func gated(t *testing.T) (peer *upstreamtest.Server, asked chan string, gate chan struct{}) {
	t.Helper()
	asked, gate = make(chan string, 100), make(chan struct{})
	t.Cleanup(func() { close(gate) })
	return serve(t, upstreamtest.HTTP{}, func(r *upstreamtest.Request) upstreamtest.Answer {
		asked <- r.Target
		select {
		case <-gate:
		case <-t.Context().Done(): // the end of the test
		}
		return upstreamtest.Answer{Body: []byte("good")}
	}), asked, gate
}

// want503 checks what a request gets that may come again later.
func want503(t *testing.T, r *rig, got response, cause proxy.Cause) {
	t.Helper()
	rec := r.next()
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "5" {
		t.Errorf("got status %d, Retry-After %q, want 503, 5", got.status, got.header.Get("Retry-After"))
	}
	last := rec.Attempts[len(rec.Attempts)-1]
	if rec.Cause != cause || last.Status != http.StatusServiceUnavailable || last.Peer != "app" {
		t.Errorf("got %+v, want %s after an attempt at the group", rec, cause)
	}
}

func TestHandler_QueuesInTurn(t *testing.T) {
	peer, asked, gate := gated(t)
	r := start(t, setup{peers: at(peer.Addr()), group: waiting})
	first := r.connect().send(request("GET", "/0", ""))
	<-asked
	var clients []*client
	for i := range 2 {
		clients = append(clients, r.connect().send(request("GET", []string{"/1", "/2"}[i], "")))
		until(t, "the request waits", func() bool { return r.group.Queue().Waiting == i+1 })
	}
	want503(t, r, r.do("GET", "/3", ""), proxy.CauseQueueFull)
	r.wantLog("queue full", "level=ERROR", "waiting=2", "upstream=app")
	for i, c := range append([]*client{first}, clients...) {
		gate <- struct{}{}
		c.response("GET").want(t, 200, []byte("good"))
		if rec := r.next(); (rec.Queued > 0) != (i > 0) || len(rec.Attempts) != 1 {
			t.Errorf("request %d: got %+v, want a wait for all but the first", i, rec)
		}
		if i < 2 {
			if got, want := <-asked, []string{"/1", "/2"}[i]; got != want {
				t.Errorf("got %s next, want %s", got, want)
			}
		}
	}
}

func TestHandler_WaitsInVain(t *testing.T) {
	peer, asked, _ := gated(t)
	r := start(t, setup{peers: at(peer.Addr()), group: func(o *upstream.GroupOptions) {
		waiting(o)
		o.Queue.Timeout, o.HoldTimeout = hurry, 2*hurry
	}})
	busy := r.connect().send(request("GET", "/", ""))
	<-asked
	want503(t, r, r.do("GET", "/", ""), proxy.CauseNoSlot)
	r.wantLog("no slot free", "level=ERROR", "took=0.1s")
	_ = busy.Close()
	r.next()
	r.group.Peers()[0].SetState(upstream.Coming)
	want503(t, r, r.do("POST", "/", "body"), proxy.CauseNoProcess)
	r.wantLog("no process ready", "level=ERROR", "took=0.2s")
	r.group.Peers()[0].SetState(upstream.Away)
	r.do("GET", "/", "")
	if rec := r.next(); rec.Status != http.StatusBadGateway || rec.Cause != proxy.CauseNoPeers {
		t.Errorf("got %+v with nobody expected, want a 502", rec)
	}
	r.wantLog("no live upstreams")
}

// TestHandler_LeavesTheQueue: a client that leaves costs the peer nothing.
func TestHandler_LeavesTheQueue(t *testing.T) {
	peer, asked, gate := gated(t)
	r := start(t, setup{peers: at(peer.Addr()), group: waiting})
	first := r.connect().send(request("GET", "/first", ""))
	<-asked
	c := r.connect().send(request("GET", "/left", ""))
	until(t, "the request waits", r.group.Crowded)
	_ = c.Close()
	if rec := r.next(); rec.Status != proxy.StatusClientGone || rec.Cause != proxy.CauseClientGone || len(rec.Attempts) != 0 {
		t.Errorf("got %+v, want a 499 without an attempt", rec)
	}
	r.wantLog("client left queue", "level=INFO")
	if r.group.Crowded() {
		t.Error("the request still waits")
	}
	gate <- struct{}{}
	first.response("GET").want(t, 200, []byte("good"))
	if got := len(peer.Requests()); got != 1 {
		t.Errorf("got %d requests at the peer, want 1", got)
	}
}

// process is a peer at a fixed address that ends and is started again.
type process struct {
	t        *testing.T
	addr     string
	listener net.Listener
	server   *http.Server
	peer     *upstream.Peer // set when there is a group
}

func newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, addr: refusing(t)}
	p.start()
	t.Cleanup(p.end)
	return p
}

func (p *process) start() {
	p.t.Helper()
	until(p.t, "the address is free", func() (ok bool) {
		var err error
		p.listener, err = net.Listen("tcp", p.addr)
		return err == nil
	})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("good"))
	})}
	p.server = server
	listener := p.listener
	go func() { _ = server.Serve(listener) }() // ends with Close
}

// end ends the process as a crash does: nobody listens, and its connections are closed. The server closes the listener, too,
// but only once Serve has begun.
func (p *process) end() {
	_ = p.listener.Close()
	_ = p.server.Close()
}

// processes returns processes, and a rig whose peers they are.
func processes(t *testing.T, n int, group func(*upstream.GroupOptions)) ([]*process, *rig) {
	t.Helper()
	var all []*process
	var addresses []string
	for range n {
		p := newProcess(t)
		all, addresses = append(all, p), append(addresses, p.addr)
	}
	r := start(t, setup{peers: at(addresses...), group: group})
	for i, p := range all {
		p.peer = r.group.Peers()[i]
	}
	return all, r
}

// TestHandler_CrashCostsNoRequest: nobody listens any more, and the supervisor says so only after the request has failed.
func TestHandler_CrashCostsNoRequest(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		waits := make(chan struct{}, 100)
		var all []*process
		all, r := processes(t, 2, func(o *upstream.GroupOptions) {
			waiting(o)
			o.OnWait = func() { // there and then, or on a busy machine the request might lose its patience
				for _, p := range all {
					p.peer.SetState(upstream.Coming)
				}
				waits <- struct{}{}
			}
		})
		for _, p := range all {
			p.end()
		}
		c := r.connect().send(request(method, "/", "body"))
		select {
		case <-waits:
		case <-time.After(patience):
			t.Fatalf("%s: nobody waits\n%s", method, r.log)
		}
		all[1].start()
		all[1].peer.SetState(upstream.Serving)
		c.response(method).want(t, 200, []byte("good"))
		if rec := r.next(); !slices.Equal(rec.statuses(), []int{502, 502, 200}) || rec.Queued == 0 {
			t.Errorf("got %+v, want a success after two refusals and a wait", rec)
		}
		r.wantNoLog("no live upstreams")
	}
}

// TestHandler_CrashWhileAnswering: a request that was sent is repeated once if it may be, however often processes end.
func TestHandler_CrashWhileAnswering(t *testing.T) {
	f := func(method string, crashes int, want ...int) {
		t.Helper()
		asked, n := make(chan bool, 100), 0
		peer := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
			asked <- true
			if n++; n <= crashes {
				return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
			}
			return upstreamtest.Answer{Body: []byte("good")}
		})
		r := start(t, setup{peers: at(peer.Addr()), group: waiting})
		ended := make(chan struct{})
		var supervisor sync.WaitGroup
		supervisor.Go(func() { // ends with the test
			for {
				select {
				case <-asked:
					until(t, "the process is idle", r.idlePeers)
					r.group.Peers()[0].SetState(upstream.Coming)
					r.group.Peers()[0].SetState(upstream.Serving)
				case <-ended:
					return
				}
			}
		})
		got := r.do(method, "/", "body")
		close(ended)
		supervisor.Wait()
		rec := r.next()
		if !slices.Equal(rec.statuses(), want) || got.status != want[len(want)-1] {
			t.Errorf("%s, %d crashes: got attempts %v, status %d, want %v", method, crashes, rec.statuses(), got.status, want)
		}
	}
	f("GET", 1, 502, 200)
	f("GET", 9, 502, 502)
	f("PUT", 1, 502, 200)
	f("POST", 1, 502)
}

// TestHandler_DoesNotWaitForARetryThatIsOff: next_upstream and its limits also bound the wait for another process.
func TestHandler_DoesNotWaitForARetryThatIsOff(t *testing.T) {
	for name, policy := range map[string]relay.RetryPolicy{
		"off": {}, "one try": {On: relay.OnError, Tries: 1}, "time is over": {On: relay.OnError, Timeout: time.Nanosecond},
	} {
		r := start(t, setup{
			peers: at(refusing(t)), group: waiting, options: func(o *relay.Options) { o.Retry = policy },
		})
		r.do("GET", "/", "")
		if rec := r.next(); rec.Status != http.StatusBadGateway || len(rec.Attempts) != 1 || rec.Queued != 0 {
			t.Errorf("%s: got %+v, want a 502 at once", name, rec)
		}
	}
}

// attempts counts the slots that were taken of the rig's peers.
func attempts(r *rig) uint64 {
	n := uint64(0)
	for _, p := range r.group.Peers() {
		n += p.Requests()
	}
	return n
}

// TestHandler_NobodyNoticesProcessesThatComeAndGo has 64 clients whose requests are all answered, while processes are
// replaced, or crash, all the time.
func TestHandler_NobodyNoticesProcessesThatComeAndGo(t *testing.T) {
	const clients, requests = 64, 40
	for name, replace := range map[string]func(*process){
		"replaced": func(p *process) {
			p.peer.SetState(upstream.Coming)
			if err := p.peer.Drained(t.Context()); err != nil {
				t.Error(err)
			}
			p.end()
		},
		"crashed": func(p *process) {
			p.end()
			p.peer.SetState(upstream.Coming)
		},
	} {
		t.Run(name, func(t *testing.T) {
			all, r := processes(t, 4, func(o *upstream.GroupOptions) {
				waiting(o)
				o.Concurrency, o.Queue.Length = 4, 1000
			})
			ended, chaos := make(chan struct{}), sync.WaitGroup{}
			chaos.Go(func() { // ends with the clients
				for i := 0; ; i++ {
					select {
					case <-ended:
						return
					default:
					}
					p := all[i*7%4]
					replace(p)
					p.start()
					before := attempts(r)
					p.peer.SetState(upstream.Serving)
					// A request that was hit is served before the next process ends: its patience with crashes has a limit.
					until(t, "the processes get requests", func() bool {
						select {
						case <-ended:
							return true
						default:
							return attempts(r) > before+clients
						}
					})
				}
			})
			var done sync.WaitGroup
			for range clients {
				done.Go(func() {
					for range requests {
						r.do("GET", "/", "").want(t, 200, []byte("good"))
						if rec := r.next(); rec.Status != http.StatusOK {
							t.Errorf("got %+v", rec)
						}
					}
				})
			}
			done.Wait()
			close(ended)
			chaos.Wait()
			until(t, "the peers are free", r.idlePeers)
			if name == "replaced" {
				r.wantNoLog("peer failed")
			}
			if t.Failed() {
				t.Logf("the log, which says why:\n%s", r.log)
			}
		})
	}
}

// TestHandler_OneClientCannotFillTheQueue: requests of one address beyond its share are refused, while the queue has room.
func TestHandler_OneClientCannotFillTheQueue(t *testing.T) {
	peer, asked, gate := gated(t)
	r := start(t, setup{peers: at(peer.Addr()), group: func(o *upstream.GroupOptions) {
		waiting(o)
		o.Queue.Length, o.Queue.PerClient = 100, 1
	}})
	first := r.connect().send(request("GET", "/0", ""))
	<-asked
	second := r.connect().send(request("GET", "/1", ""))
	until(t, "the request waits", r.group.Crowded)
	want503(t, r, r.do("GET", "/2", ""), proxy.CauseClientFull)
	r.wantLog("client queue full", "level=ERROR", "waiting=1", "upstream=app")
	for _, c := range []*client{first, second} {
		gate <- struct{}{}
		c.response("GET").want(t, 200, []byte("good"))
		r.next()
	}
}

// TestHandler_BulkLeavesASlot: of four processes three work for a bulk location at most.
func TestHandler_BulkLeavesASlot(t *testing.T) {
	var addresses []string
	gates, asked := make([]chan struct{}, 4), make(chan string, 100)
	for i := range 4 {
		peer, ask, gate := gated(t)
		addresses, gates[i] = append(addresses, peer.Addr()), gate
		go func() { // ends with the test
			for {
				select {
				case target := <-ask:
					asked <- target
				case <-t.Context().Done():
					return
				}
			}
		}()
	}
	r := start(t, setup{peers: at(addresses...), options: func(o *relay.Options) { o.Lane = upstream.Bulk }, group: func(o *upstream.GroupOptions) {
		waiting(o)
		o.Queue.Length = 100
	}})
	var clients []*client
	for range 4 {
		clients = append(clients, r.connect().send(request("GET", "/report", "")))
	}
	for range 3 {
		<-asked
	}
	until(t, "the last one waits", r.group.Crowded)
	if got := r.group.Queue(); got.Lanes[upstream.Bulk] != 1 || got.Bulk != 3 {
		t.Errorf("got %+v, want three with a slot and one that waits", got)
	}
	for range 4 {
		select {
		case gates[0] <- struct{}{}:
		case gates[1] <- struct{}{}:
		case gates[2] <- struct{}{}:
		case gates[3] <- struct{}{}:
		}
	}
	for _, c := range clients {
		c.response("GET").want(t, 200, []byte("good"))
	}
	until(t, "all is given back", func() bool { return r.group.Queue().Bulk == 0 })
}
