package relay_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// member is what at makes of one address.
func member(address string) upstream.PeerOptions { return at(address)[0] }

// TestHandler_NobodyNoticesPeersThatComeAndGo has 32 clients whose requests are all answered, while the group changes between one
// and four peers.
func TestHandler_NobodyNoticesPeersThatComeAndGo(t *testing.T) {
	const clients, requests = 32, 40
	for _, wire := range wires() {
		t.Run(wire.Name(), func(t *testing.T) {
			addresses := []string{serve(t, wire, good).Addr(), serve(t, wire, good).Addr(), serve(t, wire, good).Addr()}
			r := start(t, setup{wire: wire, peers: at(addresses[0]), group: func(o *upstream.GroupOptions) {
				waiting(o)
				o.Concurrency, o.Queue.Length = 4, 1000
			}})
			var removed []*upstream.Peer
			ended, changer := make(chan struct{}), sync.WaitGroup{}
			changer.Go(func() { // ends with the clients
				for i := 0; ; i++ {
					select {
					case <-ended:
						return
					default:
					}
					for j := range 1 + i%3 {
						if _, err := r.group.Add(member(addresses[(i+j)%3])); err != nil {
							t.Error(err)
						}
					}
					peers := r.group.Peers()
					for _, p := range peers[:len(peers)-1] {
						r.group.Remove(p)
						removed = append(removed, p)
					}
					for _, p := range peers[:len(peers)-1] {
						if err := p.Drained(t.Context()); err != nil {
							t.Error(err)
						}
					}
				}
			})
			var done sync.WaitGroup
			for range clients {
				done.Go(func() {
					for range requests {
						r.do("GET", "/", "").want(t, http.StatusOK, []byte("good"))
						if rec := r.next(); rec.Status != http.StatusOK || len(rec.Attempts) != 1 {
							t.Errorf("got %+v, want one attempt", rec)
						}
					}
				})
			}
			done.Wait()
			close(ended)
			changer.Wait()
			until(t, "the peers are free", r.idlePeers)
			for _, p := range removed {
				if got := p.Inflight(); got != 0 {
					t.Errorf("got %d slots in use of a peer that was removed", got)
				}
			}
			until(t, "nobody is leaving", func() bool { return len(r.group.Leaving()) == 0 })
			r.wantNoLog("peer failed")
		})
	}
}

// TestHandler_TriesThoseWhoCame: the only peer fails while another takes its place, with its index. As many attempts as there are
// peers includes the newcomer.
func TestHandler_TriesThoseWhoCame(t *testing.T) {
	other := serve(t, upstreamtest.HTTP{}, good)
	var r *rig
	failing := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		if _, err := r.group.Add(member(other.Addr())); err != nil {
			t.Error(err)
		}
		r.group.Remove(r.group.Peers()[0])
		return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
	})
	r = start(t, setup{peers: at(failing.Addr())})
	r.do("GET", "/", "").want(t, http.StatusOK, []byte("good"))
	if rec := r.next(); !slices.Equal(rec.statuses(), []int{502, 200}) {
		t.Errorf("got attempts %v, want 502 and 200", rec.statuses())
	}
	r.wantNoLog("peer disabled")
}

// TestHandler_GroupWithoutPeers answers at once, or holds requests until there is a peer.
func TestHandler_GroupWithoutPeers(t *testing.T) {
	r := start(t, setup{})
	if got := r.do("GET", "/", ""); got.status != http.StatusBadGateway {
		t.Errorf("got status %d, want 502", got.status)
	}
	r.wantLog("no live upstreams")

	peer := serve(t, upstreamtest.HTTP{}, good)
	r = start(t, setup{group: waiting})
	c := r.connect().send(request("GET", "/", ""))
	until(t, "the request waits", func() bool { return r.group.Queue().Waiting == 1 })
	seen := time.Now()
	until(t, "the clock goes on, which Windows' does in steps", func() bool { return time.Since(seen) > 0 })
	if _, err := r.group.Add(member(peer.Addr())); err != nil {
		t.Fatal(err)
	}
	c.response("GET").want(t, http.StatusOK, []byte("good"))
	if rec := r.next(); rec.Queued == 0 {
		t.Errorf("got %+v, want a wait", rec)
	}

	r = start(t, setup{group: func(o *upstream.GroupOptions) { o.HoldTimeout = time.Millisecond }})
	if got := r.do("GET", "/", ""); got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("got status %d, Retry-After %q, want 503 with one", got.status, got.header.Get("Retry-After"))
	}
	r.wantLog("no peer resolved", "level=ERROR", "took=0.001s")
}

// TestPoisonGuard_PeersThatAreTakenAway: a peer that leaves the group while it has a request may have ended, but not by that.
func TestPoisonGuard_PeersThatAreTakenAway(t *testing.T) {
	t.Parallel()
	var r *rig
	var mu sync.Mutex // guards ended
	var ended []string
	leave := func(address *string) func(*upstreamtest.Request) upstreamtest.Answer {
		return func(*upstreamtest.Request) upstreamtest.Answer {
			mu.Lock()
			defer mu.Unlock()
			if len(ended) == 2 {
				return upstreamtest.Answer{Body: []byte("good")}
			}
			ended = append(ended, *address)
			for _, p := range r.group.Peers() {
				if p.Address() == *address {
					r.group.Remove(p)
				}
			}
			return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
		}
	}
	addresses := make([]string, 3)
	for i := range addresses {
		addresses[i] = serve(t, upstreamtest.HTTP{}, leave(&addresses[i])).Addr()
	}
	var guard *relay.PoisonGuard
	r = start(t, setup{peers: at(addresses...), options: guarded(&guard, false)})
	r.do("GET", "/", "").want(t, http.StatusOK, []byte("good"))
	if rec := r.next(); !slices.Equal(rec.statuses(), []int{502, 502, 200}) {
		t.Errorf("got %+v, want the third peer asked", rec)
	}
	until(t, "nobody is suspected", func() bool { return len(guard.Suspects(time.Now())) == 0 })
}
