package upstream_test

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// asker is a request that asks for peers.
type asker struct {
	group *upstream.Group
	hint  balancer.Hint
	tried *upstream.Peer // when its process was the run-th; nil: none was tried
	run   uint64
	wait  upstream.Waiter
}

// picker is shared by the askers of a group.
type picker struct {
	group *upstream.Group
	balancer.Picker
}

func newPicker(g *upstream.Group) picker { return picker{g, balancer.NewRoundRobin()} }

func (p picker) asker() *asker {
	a := &asker{group: p.group}
	a.wait.Pick = func(from []*upstream.Peer) *upstream.Peer {
		a.hint = balancer.Hint{Now: time.Now()}
		if a.tried != nil && a.wait.Tried(a.tried) {
			a.hint.Tried.Add(a.tried.Index())
		}
		return p.Pick(from, &a.hint)
	}
	a.wait.Tried = func(peer *upstream.Peer) bool { return peer == a.tried && peer.Runs() == a.run }
	return a
}

// retry returns a request that was tried on the peer.
func (p picker) retry(tried *upstream.Peer) *asker {
	a := p.asker()
	a.tried, a.run, a.wait.Retry = tried, tried.Runs(), true
	return a
}

// join joins the queue without waiting for the outcome.
func (a *asker) join() *asker {
	if a.wait.Since.IsZero() {
		a.wait.Since = time.Now()
	}
	a.group.Join(&a.wait)
	return a
}

// ask is what a request does: it takes a slot, or waits for one.
func (a *asker) ask() (*upstream.Peer, error) {
	if !a.group.Crowded() {
		if p := a.wait.Pick(a.group.Peers()); p != nil {
			return p, nil
		}
	}
	return a.join().wait.Await()
}

// want checks how the wait ended; index is -1 for a wait that ended with the error.
func (a *asker) want(t *testing.T, index int, want error) {
	t.Helper()
	p, err := a.wait.Await()
	if !errors.Is(err, want) || (p != nil) != (index >= 0) || p != nil && p.Index() != index {
		t.Errorf("got peer %v, error %v, want peer %d, error %v", p, err, index, want)
	}
}

// queued are options of a group in which requests wait for slots and for processes.
func queued() upstream.GroupOptions {
	return upstream.GroupOptions{
		Concurrency: 1, Queue: upstream.Queue{Length: 1000, Timeout: 60 * time.Second}, HoldTimeout: 30 * time.Second,
	}
}

func TestQueue_SlotGoesToTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 2, queued())
		q := newPicker(g)
		for range 2 {
			if _, err := q.asker().ask(); err != nil {
				t.Fatal(err)
			}
		}
		var waiting []*asker
		for range 5 {
			waiting = append(waiting, q.asker().join())
		}
		late := q.asker()
		late.wait.Since = time.Now().Add(-time.Second) // a retry: it asked before the others
		waiting = slices.Insert(waiting, 0, late.join())
		if got := g.Queue(); got.Waiting != 6 || got.Total != 6 || !g.Crowded() {
			t.Errorf("got %+v, want 6 that wait", got)
		}
		asked := time.Now()
		for i, a := range waiting {
			p := g.Peers()[i%2]
			p.Free()
			a.want(t, i%2, nil)
			if got := p.Inflight(); got != 1 {
				t.Errorf("got %d slots in use, want the limit of 1", got)
			}
		}
		if g.Crowded() || !time.Now().Equal(asked) {
			t.Error("somebody is left in the queue, or was served late")
		}
	})
}

func TestQueue_RetryWaitsForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 2, queued())
		q := newPicker(g)
		for range 2 {
			_, _ = q.asker().ask()
		}
		retry := q.retry(g.Peers()[0]).join()
		fresh := q.asker().join()
		g.Peers()[0].Free()
		fresh.want(t, 0, nil) // the retry was there already
		g.Peers()[1].Free()
		retry.want(t, 1, nil)
	})
}

func TestQueue_Refuses(t *testing.T) {
	f := func(name string, want error, change func(*upstream.GroupOptions), state upstream.State) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			t.Helper()
			opts := queued()
			change(&opts)
			g := groupOf(t, 2, opts)
			q := newPicker(g)
			for _, p := range g.Peers() {
				p.Take(time.Now())
				p.SetState(state)
			}
			asked := time.Now()
			if p, err := q.asker().ask(); p != nil || !errors.Is(err, want) || !time.Now().Equal(asked) {
				t.Errorf("%s: got %v after %v, want %v at once", name, err, time.Since(asked), want)
			}
		})
	}
	none := func(*upstream.GroupOptions) {}
	f("all are away", upstream.ErrNoPeers, none, upstream.Away)
	f("no queue, as in nginx", upstream.ErrNoPeers, func(o *upstream.GroupOptions) { o.Queue.Length = 0 }, upstream.Serving)
	f("no hold", upstream.ErrNoPeers, func(o *upstream.GroupOptions) { o.HoldTimeout = 0 }, upstream.Coming)
}

func TestQueue_IsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Queue.Length = 3
		g := groupOf(t, 1, opts)
		q := newPicker(g)
		_, _ = q.asker().ask()
		var waiting []*asker
		for range 3 {
			waiting = append(waiting, q.asker().join())
		}
		q.asker().join().want(t, -1, upstream.ErrQueueFull)
		g.Peers()[0].SetState(upstream.Coming) // those that wait for a slot are now held
		q.asker().join().want(t, -1, upstream.ErrQueueFull)
		waiting[1].wait.Leave()
		waiting[1].want(t, -1, upstream.ErrLeft)
		last := q.asker().join()
		if got := g.Queue(); got.Waiting != 3 || got.Total != 4 || got.Full != 2 || got.Length != 3 {
			t.Errorf("got %+v, want 3 of 4 waiting and 2 refused", got)
		}
		g.Close()
		waiting[0].want(t, -1, upstream.ErrNoPeers)
		last.want(t, -1, upstream.ErrNoPeers)
		last.wait.Leave() // too late
	})
}

// TestQueue_TimesOut: waits for slots and for processes have timeouts of their own.
func TestQueue_TimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 1, queued())
		p, q := g.Peers()[0], newPicker(g)
		_, _ = q.asker().ask()
		about := func(a *asker, want error, seconds float64) {
			t.Helper()
			from := a.wait.Since
			a.want(t, -1, want)
			if got := time.Since(from).Seconds(); got < seconds || got > seconds+0.11 {
				t.Errorf("%v came after %v s, want %v s", want, got, seconds)
			}
		}
		about(q.asker().join(), upstream.ErrNoSlot, 60)
		p.SetState(upstream.Coming)
		about(q.asker().join(), upstream.ErrNoProcess, 30)
		p.SetState(upstream.Serving)
		both := q.asker().join()
		time.Sleep(40 * time.Second)
		p.SetState(upstream.Coming)
		about(both, upstream.ErrNoProcess, 70)
		until := q.asker()
		until.wait.Until = time.Now().Add(5 * time.Second)
		about(until.join(), upstream.ErrLate, 5)
		if got := g.Queue(); got.TimedOut != 3 || until.wait.Total < 5*time.Second {
			t.Errorf("got %+v, the last after %v, want 3 timed out, 5 s", got, until.wait.Total)
		}
	})
}

func TestQueue_EndsWhenNobodyIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 2, queued())
		q := newPicker(g)
		for _, p := range g.Peers() {
			p.SetState(upstream.Coming)
		}
		a, asked := q.asker().join(), time.Now()
		g.Peers()[0].SetState(upstream.Away)
		g.Peers()[1].SetState(upstream.Away)
		a.want(t, -1, upstream.ErrNoPeers)
		if !time.Now().Equal(asked) {
			t.Error("the wait did not end at once")
		}
	})
}

// TestQueue_DisabledPeerComesBack: the end of fail_timeout, which nobody announces, ends the wait.
func TestQueue_DisabledPeerComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Protocol = mute{}
		opts.Peers = []upstream.PeerOptions{
			{Address: "127.0.0.1:1", MaxFails: 1, FailTimeout: 10 * time.Second}, {Address: "127.0.0.1:2"},
		}
		g, err := upstream.NewGroup(opts)
		if err != nil {
			t.Fatal(err)
		}
		g.Peers()[0].Report(g.Peers()[0].Runs(), upstream.Broken, time.Now())
		q := newPicker(g)
		_, _ = q.asker().ask()
		a, asked := q.asker().join(), time.Now()
		a.want(t, 0, nil)
		if got := time.Since(asked); got < 10*time.Second || got > 10*time.Second+300*time.Millisecond {
			t.Errorf("got the peer after %v, want the 10 s of fail_timeout", got)
		}
	})
}

// TestQueue_ReadyProcessGetsItsShare: eight processes come up one after the other, and each gets as many of those that
// were held.
func TestQueue_ReadyProcessGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Concurrency = 0
		g := groupOf(t, 8, opts)
		q := newPicker(g)
		for _, p := range g.Peers() {
			p.SetState(upstream.Coming)
		}
		for range 100 {
			q.asker().join()
		}
		for _, p := range g.Peers() {
			time.Sleep(50 * time.Millisecond)
			p.SetState(upstream.Serving)
		}
		for _, p := range g.Peers() {
			if got := p.Inflight(); got < 12 || got > 13 {
				t.Errorf("peer %d: got %d of 100 requests, want an eighth", p.Index(), got)
			}
		}
		if g.Crowded() {
			t.Error("somebody still waits")
		}
	})
}

// TestQueue_LonelyProcessGetsAll: no sibling comes, and what is left does not wait for one.
func TestQueue_LonelyProcessGetsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Concurrency, opts.Queue.Length = 0, 0 // held only
		g := groupOf(t, 4, opts)
		q, p := newPicker(g), g.Peers()[2]
		for _, p := range g.Peers() {
			p.SetState(upstream.Coming)
		}
		for range 100 {
			q.asker().join()
		}
		p.SetState(upstream.Serving)
		if got := p.Inflight(); got != 25 {
			t.Errorf("got %d requests at once, want a quarter", got)
		}
		p.Free()
		if got := p.Inflight(); got != 25 {
			t.Errorf("got %d requests after one was answered, want the next in its place", got)
		}
		newcomer := q.asker()
		if _, err := newcomer.ask(); err != nil {
			t.Error(err)
		}
		if got := p.Inflight(); got != 100 || newcomer.wait.Total > 400*time.Millisecond {
			t.Errorf("got %d requests after %v, want all soon", got, newcomer.wait.Total)
		}
	})
}

// TestQueue_WaitsForTheNewsOfAnEnd: a process has ended, and its supervisor is about to say so.
func TestQueue_WaitsForTheNewsOfAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 1, queued())
		q, p := newPicker(g), g.Peers()[0]
		q.retry(p).join().want(t, -1, upstream.ErrNoPeers)
		p.Report(p.Runs(), upstream.Died, time.Now())
		a := q.retry(p).join()
		time.Sleep(500 * time.Millisecond)
		p.SetState(upstream.Coming)
		time.Sleep(5 * time.Second)
		p.SetState(upstream.Serving)
		a.want(t, 0, nil)
		p.Report(p.Runs(), upstream.Died, time.Now())
		asked := time.Now()
		q.retry(p).join().want(t, -1, upstream.ErrNoPeers)
		if got := time.Since(asked); got < time.Second || got > 1200*time.Millisecond {
			t.Errorf("gave up after %v without news, want 1 s", got)
		}
	})
}

func TestQueue_TellsThatRequestsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		opts := queued()
		opts.OnWait = func() { told.Add(1) }
		g := groupOf(t, 1, opts)
		q := newPicker(g)
		_, _ = q.asker().ask()
		if told.Load() != 0 {
			t.Error("told without anybody waiting")
		}
		for range 50 {
			q.asker().join()
		}
		if told.Load() != 1 {
			t.Errorf("told %d times of 50 requests at once, want once", told.Load())
		}
		time.Sleep(time.Second + time.Millisecond)
		synctest.Wait()
		if got := told.Load(); got < 9 || got > 11 {
			t.Errorf("told %d times in a second, want about 10", got)
		}
		g.Close()
	})
}

// TestQueue_LosesNoWakeup: in the bubble of synctest time goes on only when everybody waits, so that a slot which is
// free while somebody waits for it is seen in the clock.
func TestQueue_LosesNoWakeup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := queued()
		opts.Concurrency = 2
		g := groupOf(t, 3, opts)
		q, began := newPicker(g), time.Now()
		var users sync.WaitGroup
		for range 64 {
			users.Go(func() {
				a := q.asker()
				for range 300 {
					a.wait.Reset()
					p, err := a.ask()
					if err != nil {
						t.Error(err)
						return
					}
					runtime.Gosched() // others come and find no slot
					p.Free()
				}
			})
		}
		users.Wait()
		if !time.Now().Equal(began) {
			t.Errorf("somebody waited %v for a slot that was free", time.Since(began))
		}
		if got := g.Queue(); got.Waiting != 0 || got.Total == 0 {
			t.Errorf("got %d waiting, %d that waited, want 0 and some", got.Waiting, got.Total)
		}
	})
}

// TestQueue_ChangesOfState: 64 requests at a time, while peers come and go; each gets a peer, and none that is out of
// service and drained.
func TestQueue_ChangesOfState(t *testing.T) {
	opts := queued()
	opts.Concurrency = 3
	g := groupOf(t, 4, opts)
	q := newPicker(g)
	var users, changers sync.WaitGroup
	ended := make(chan struct{})
	for _, p := range g.Peers() {
		changers.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				p.SetState(upstream.Coming)
				if err := p.Drained(t.Context()); err != nil {
					t.Error(err)
				}
				if p.Take(time.Now()) || p.Inflight() != 0 {
					t.Error("a peer is used that is out of service")
				}
				p.SetState(upstream.Serving)
			}
		})
	}
	for i := range 64 {
		users.Go(func() {
			a := q.asker()
			for n := range 200 {
				a.wait.Reset()
				if a.join(); (n+i)%7 == 0 {
					a.wait.Leave()
				}
				p, err := a.wait.Await()
				switch {
				case err == nil:
					if p.Inflight() > 3 {
						t.Errorf("got %d slots in use, want at most 3", p.Inflight())
					}
					p.Free()
				case !errors.Is(err, upstream.ErrLeft):
					t.Error(err)
				}
			}
		})
	}
	users.Wait()
	close(ended)
	changers.Wait()
	for _, p := range g.Peers() {
		if p.Inflight() != 0 || g.Crowded() {
			t.Errorf("got %d slots in use, somebody waiting %v, want none", p.Inflight(), g.Crowded())
		}
	}
}

// TestQueue_DoesNotWaitForASuspectForEver: a process lives but takes nobody. Requests that find out one after the other do not
// prolong the wait of those before, nor do they all wait.
func TestQueue_DoesNotWaitForASuspectForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := groupOf(t, 1, queued())
		q, p := newPicker(g), g.Peers()[0]
		longest, total := time.Duration(0), time.Duration(0)
		const requests = 100
		var ends sync.WaitGroup
		waits := make(chan time.Duration, requests)
		for range requests { // 10 s of refused requests
			ends.Go(func() {
				asked := time.Now()
				p.Report(p.Runs(), upstream.Died, asked)
				q.retry(p).join().want(t, -1, upstream.ErrNoPeers)
				waits <- time.Since(asked)
			})
			time.Sleep(100 * time.Millisecond)
		}
		ends.Wait()
		for range requests {
			wait := <-waits
			longest, total = max(longest, wait), total+wait
		}
		if longest > 1200*time.Millisecond || total > requests*400*time.Millisecond {
			t.Errorf("got waits of up to %v, %v on average, want a second at most, and nothing for half of them", longest, total/requests)
		}
	})
}
