package relay_test

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/proxy/relay"
	"spillway/upstream"
	"spillway/upstream/upstreamtest"
)

// guarded gives the location a guard, which is returned through at.
func guarded(at **relay.PoisonGuard, supervised bool) func(*relay.Options) {
	return func(o *relay.Options) {
		*at = relay.NewPoisonGuard(relay.PoisonOptions{Group: o.Group, Supervised: supervised})
		o.Poison = *at
	}
}

// pool is a rig whose peers are supervised processes that end with a request for /poison; the supervisor starts them anew.
type pool struct {
	*rig

	guard *relay.PoisonGuard
	kills atomic.Int64
}

// newPool starts n processes. kill is told the process that a request for /poison was sent to, and ends what it wants to.
func newPool(t *testing.T, n int, group func(*upstream.GroupOptions), kill func(p *pool, i int)) *pool {
	t.Helper()
	p, began := &pool{}, make(chan struct{})
	var addresses []string
	for i := range n {
		addresses = append(addresses, serve(t, upstreamtest.HTTP{}, func(r *upstreamtest.Request) upstreamtest.Answer {
			<-began
			if !strings.HasPrefix(r.Target, "/poison") {
				return upstreamtest.Answer{Body: []byte("good")}
			}
			p.kills.Add(1)
			kill(p, i)
			return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
		}).Addr())
	}
	p.rig = start(t, setup{peers: at(addresses...), group: group, options: guarded(&p.guard, true)})
	close(began)
	return p
}

// end is what the supervisor says when a process ends and another one takes its place.
func (p *pool) end(i int) {
	p.group.Peers()[i].SetState(upstream.Coming)
	p.group.Peers()[i].SetState(upstream.Serving)
}

// wantRefused checks that a request is refused without an attempt.
func (p *pool) wantRefused(target string, status int) {
	p.t.Helper()
	before := p.kills.Load()
	got := p.do("GET", target, "")
	rec := p.next()
	if got.status != status || rec.Cause != proxy.CausePoison || !slices.Equal(rec.statuses(), []int{status}) || p.kills.Load() != before {
		p.t.Errorf("%s: got status %d, %+v, want %d without an attempt", target, got.status, rec, status)
	}
	if got.header.Get("Retry-After") == "" {
		p.t.Errorf("%s: got no Retry-After", target)
	}
}

// wantKilled checks that the record of a refused request has the two processes that the ones before have ended.
func (p *pool) wantKilled(target string) {
	p.t.Helper()
	p.do("GET", target, "")
	rec := p.next()
	text := rec.Attempts[0].Err.Error()
	if len(rec.Killed) != 2 || !strings.HasPrefix(text, "it has ended 2 processes (poison_guard), for ") || !strings.HasSuffix(text, "s more") {
		p.t.Errorf("got %v, %q, want two processes", rec.Killed, text)
	}
}

func TestPoisonGuard_NoThirdProcess(t *testing.T) {
	t.Parallel()
	for name, n := range map[string]int{"eight processes": 8, "one process": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPool(t, n, waiting, (*pool).end)
			p.do("GET", "/poison?id=1&x=2", "")
			if rec := p.next(); !slices.Equal(rec.statuses(), []int{502, 502, 503}) || rec.Cause != proxy.CausePoison {
				t.Errorf("got %+v, want a 503 after two processes", rec)
			}
			p.wantLog("request refused as poison", "level=ERROR", "kills=2", "upstream=app")
			p.wantKilled("/poison?id=3&x=2")
			p.wantRefused("/poison?x=7&id=2", http.StatusServiceUnavailable) // the same parameters
			for _, innocent := range []string{"/", "/other?id=1&x=2", "/other"} {
				p.do("GET", innocent, "").want(t, 200, []byte("good"))
				p.next()
			}
			got := p.guard.Suspects(time.Now())
			if len(got) != 1 || got[0].Path != "/poison" || got[0].Host != "site.test" || got[0].Kills != 2 || got[0].Refused != 3 || got[0].Until.IsZero() {
				t.Errorf("got %+v, want the request", got)
			}
		})
	}
}

// TestPoisonGuard_VisitorPressesReload: no request is sent twice, but they come again.
func TestPoisonGuard_VisitorPressesReload(t *testing.T) {
	t.Parallel()
	p := newPool(t, 4, waiting, (*pool).end)
	for i := range 2 {
		p.do("POST", "/poison", "x")
		p.next()
		until(t, "the verdict", func() bool {
			all := p.guard.Suspects(time.Now())
			return len(all) == 1 && all[0].Kills == i+1
		})
	}
	before := p.kills.Load()
	p.do("POST", "/poison", "y").want(t, 503, proxy.Page(503))
	if p.next(); p.kills.Load() != before || p.guard.Refused() != 1 {
		t.Errorf("got %d kills, %d refused", p.kills.Load(), p.guard.Refused())
	}
}

// TestPoisonGuard_SomebodyEndsAllProcesses: the request was there each time, but so was nobody else where others ended.
func TestPoisonGuard_SomebodyEndsAllProcesses(t *testing.T) {
	t.Parallel()
	p := newPool(t, 4, waiting, func(p *pool, _ int) {
		for i := range p.group.Peers() {
			p.end(i)
		}
	})
	for range 3 {
		p.do("GET", "/poison", "")
		if rec := p.next(); rec.Cause == proxy.CausePoison {
			t.Errorf("got %+v, want no blame", rec)
		}
	}
	until(t, "nobody is suspected", func() bool { return len(p.guard.Suspects(time.Now())) == 0 })
}

// TestPoisonGuard_AnAnswerAbsolves: a page that works most of the time is not what ends processes.
func TestPoisonGuard_AnAnswerAbsolves(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	p := newPool(t, 4, waiting, func(*pool, int) {})
	peers := p.group.Peers()
	sometimes := serve(t, upstreamtest.HTTP{}, func(*upstreamtest.Request) upstreamtest.Answer {
		if asked.Add(1)%2 == 0 {
			return upstreamtest.Answer{Body: []byte("good")}
		}
		peers[0].SetState(upstream.Coming) // its supervisor says that it ended
		peers[0].SetState(upstream.Serving)
		return upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}
	})
	var guard *relay.PoisonGuard
	r := start(t, setup{peers: at(sometimes.Addr()), group: waiting, options: guarded(&guard, true)})
	peers = r.group.Peers()
	for range 3 {
		r.do("POST", "/", "x").want(t, 502, proxy.Page(502))
		until(t, "the verdict", func() bool { return len(guard.Suspects(time.Now())) == 1 })
		r.do("POST", "/", "x").want(t, 200, []byte("good"))
		if got := guard.Suspects(time.Now()); len(got) != 0 {
			t.Errorf("got %+v after an answer, want nobody", got)
		}
	}
}

// mortal is a peer that nobody supervises: a server that ends with a request for /poison.
func mortal(t *testing.T, kills *atomic.Int64) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/poison" {
			kills.Add(1)
			_ = server.Close()
			return
		}
		_, _ = w.Write([]byte("good"))
	})
	var ended sync.WaitGroup
	ended.Go(func() { _ = server.Serve(l) }) // ends with Close
	t.Cleanup(func() {
		_ = server.Close()
		ended.Wait()
	})
	return l.Addr().String()
}

func TestPoisonGuard_AsksPeersThatNobodySupervises(t *testing.T) {
	t.Parallel()
	var kills atomic.Int64
	var addresses []string
	for range 8 {
		addresses = append(addresses, mortal(t, &kills))
	}
	var guard *relay.PoisonGuard
	r := start(t, setup{peers: at(append(addresses, refusing(t))...), options: guarded(&guard, false)})
	gone := r.group.Peers()[8] // for long, which is nothing that the request has done
	gone.Report(gone.Runs(), upstream.Broken, time.Now())
	r.do("GET", "/poison", "").want(t, 503, proxy.Page(503))
	if rec := r.next(); !slices.Equal(rec.statuses(), []int{502, 502, 503}) || kills.Load() != 2 {
		t.Errorf("got %+v after %d kills", rec, kills.Load())
	}
	r.do("GET", "/", "").want(t, 200, []byte("good"))
}

// TestPoisonGuard_AClosedConnectionIsNoEnd: the peers live, so that nginx's rules hold.
func TestPoisonGuard_AClosedConnectionIsNoEnd(t *testing.T) {
	t.Parallel()
	closing := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.CloseBeforeHead}))
	var guard *relay.PoisonGuard
	r := start(t, setup{peers: at(closing.Addr(), closing.Addr(), closing.Addr()), options: guarded(&guard, false)})
	for range 2 {
		r.do("GET", "/", "").want(t, 502, proxy.Page(502))
		if rec := r.next(); !slices.Equal(rec.statuses(), []int{502, 502, 502}) {
			t.Errorf("got %+v, want all peers asked", rec)
		}
	}
	until(t, "nobody is suspected", func() bool { return len(guard.Suspects(time.Now())) == 0 })
}

func TestPoisonGuard_HangsAtTwoOnly(t *testing.T) {
	t.Parallel()
	hanging := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.Silent}))
	var guard *relay.PoisonGuard
	r := start(t, setup{peers: at(hanging.Addr(), hanging.Addr(), hanging.Addr()), options: func(o *relay.Options) {
		guarded(&guard, false)(o)
		o.Timeouts.Read = hurry
	}})
	r.do("GET", "/", "").want(t, 504, proxy.Page(504))
	if rec := r.next(); !slices.Equal(rec.statuses(), []int{504, 504}) || rec.Cause != proxy.CausePoison {
		t.Errorf("got %+v, want two attempts", rec)
	}
	r.wantLog("request hangs everywhere", "level=ERROR", "processes=2")
}

// TestPoisonGuard_StuckProcesses: the third of the same requests stops no process any more.
func TestPoisonGuard_StuckProcesses(t *testing.T) {
	t.Parallel()
	hanging := serve(t, upstreamtest.HTTP{}, answer(upstreamtest.Answer{Fault: upstreamtest.Silent}))
	p := &pool{}
	p.rig = start(t, setup{peers: at(hanging.Addr(), hanging.Addr(), hanging.Addr()), group: waiting, options: func(o *relay.Options) {
		guarded(&p.guard, true)(o)
		o.BusyTimeout, o.OnStuck = hurry, func(stuck *upstream.Peer, _ time.Duration) {
			stuck.SetState(upstream.Coming)
			stuck.SetState(upstream.Serving)
		}
	}})
	for range 2 {
		p.do("GET", "/", "").want(t, 504, proxy.Page(504))
		if rec := p.next(); rec.Cause != proxy.CauseStuck {
			t.Errorf("got %+v", rec)
		}
	}
	p.wantRefused("/", http.StatusGatewayTimeout)
}
