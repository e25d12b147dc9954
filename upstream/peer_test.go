package upstream_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/upstream"
)

// mute is a Protocol that is never spoken.
type mute struct{}

func (mute) Send(*upstream.Conn, *upstream.Request) error     { return nil }
func (mute) Receive(*upstream.Conn, *upstream.Response) error { return nil }

// newGroup returns a group of peers that nobody listens at.
func newGroup(t *testing.T, peers ...upstream.PeerOptions) *upstream.Group {
	t.Helper()
	for i := range peers {
		peers[i].Address = "127.0.0.1:1"
	}
	g, err := upstream.NewGroup(upstream.GroupOptions{Name: "g", Protocol: mute{}, Peers: peers})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// start is the moment that the tests count from.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

func TestNewGroup_RefusesWhatCannotWork(t *testing.T) {
	f := func(opts upstream.GroupOptions) {
		t.Helper()
		if _, err := upstream.NewGroup(opts); err == nil {
			t.Errorf("%+v: got no error", opts)
		}
	}
	f(upstream.GroupOptions{Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1"}}})
	f(upstream.GroupOptions{Protocol: mute{}, Peers: []upstream.PeerOptions{{}}})
	f(upstream.GroupOptions{Protocol: mute{}, Peers: []upstream.PeerOptions{{Address: "127.0.0.1"}}})
}

// TestPeer_FailuresDisable follows nginx's accounting: max_fails within fail_timeout, then one request per fail_timeout.
func TestPeer_FailuresDisable(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{MaxFails: 2, FailTimeout: 10 * time.Second}, upstream.PeerOptions{}).Peers()[0]
	usable := func(second int, want bool) {
		t.Helper()
		if got := p.Usable(at(second)); got != want {
			t.Errorf("second %d: got usable %v, want %v", second, got, want)
		}
	}
	report := func(second int, outcome upstream.Outcome, want bool) {
		t.Helper()
		p.Take(at(second))
		if got := p.Report(p.Runs(), outcome, at(second)); got != want {
			t.Errorf("second %d: got disabled %v, want %v", second, got, want)
		}
	}
	usable(0, true)
	report(0, upstream.Broken, false)
	usable(0, true)
	report(1, upstream.Abandoned, false)
	report(1, upstream.Broken, true)
	usable(1, false)
	usable(11, false) // nginx: now - checked <= fail_timeout
	usable(12, true)
	p.Take(at(12)) // let through once
	usable(12, false)
	if !p.Report(p.Runs(), upstream.Broken, at(13)) { // every further failure is one at the limit
		t.Error("second 13: got not disabled")
	}
	usable(23, false)
	usable(24, true)
	p.Take(at(24))
	p.Report(p.Runs(), upstream.Succeeded, at(24))
	usable(24, true)
	if got := p.Fails(); got != 0 {
		t.Errorf("got %d failures after a success, want 0", got)
	}
	if p.Failures() != 3 || p.Requests() != 5 {
		t.Errorf("got %d failures of %d requests, want 3 of 5", p.Failures(), p.Requests())
	}
}

// TestPeer_SuccessForgetsOnlyAfterACheck: a success that was on its way when the peer failed says nothing.
func TestPeer_SuccessForgetsOnlyAfterACheck(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{MaxFails: 1, FailTimeout: 10 * time.Second}, upstream.PeerOptions{}).Peers()[0]
	p.Report(p.Runs(), upstream.Broken, at(0))
	p.Report(p.Runs(), upstream.Succeeded, at(1))
	if p.Usable(at(1)) {
		t.Error("a success from before the failure made the peer usable")
	}
	p.Take(at(11))
	p.Report(p.Runs(), upstream.Succeeded, at(12))
	if !p.Usable(at(12)) {
		t.Error("the peer answered after fail_timeout and is not usable")
	}
}

func TestPeer_SingleIsNeverDisabled(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Hour}).Peers()[0]
	if p.Report(p.Runs(), upstream.Broken, at(0)) || !p.Usable(at(0)) {
		t.Error("the only peer was disabled")
	}
}

// TestGroup_PanicsRatherThanAskNobody: all that serve are disabled, so that all are asked, until one has answered.
func TestGroup_PanicsRatherThanAskNobody(t *testing.T) {
	failing := upstream.PeerOptions{MaxFails: 1, FailTimeout: 10 * time.Second}
	backup := failing
	backup.Backup = true
	g := newGroup(t, failing, failing, backup, upstream.PeerOptions{Down: true}, upstream.PeerOptions{State: upstream.Away},
		upstream.PeerOptions{Drain: true})
	usable := func(second int, want ...int) {
		t.Helper()
		var got []int
		for _, p := range g.Peers() {
			if p.Usable(at(second)) {
				got = append(got, p.Index())
			}
		}
		if !slices.Equal(got, want) || g.Panics(at(second)) != (len(want) == 3) {
			t.Errorf("second %d: got %v usable, panic %v, want %v", second, got, g.Panics(at(second)), want)
		}
	}
	fail := func(i, second int) { g.Peers()[i].Report(g.Peers()[i].Runs(), upstream.Broken, at(second)) }
	fail(0, 0)
	fail(1, 0)
	usable(1, 2)
	fail(2, 1)
	usable(1, 0, 1, 2)
	p := g.Peers()[1]
	p.Take(at(2))
	p.Report(p.Runs(), upstream.Succeeded, at(3))
	usable(3, 1)
	for p.Take(at(4)) && p.Inflight() < 100 { // busy, which is no reason to ask the others
	}
	usable(4, 1)
}

func TestPeer_MaxFailsZeroSwitchesOff(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{FailTimeout: time.Hour}, upstream.PeerOptions{}).Peers()[0]
	for range 10 {
		if p.Report(p.Runs(), upstream.Broken, at(0)) || !p.Usable(at(0)) {
			t.Fatal("the peer was disabled")
		}
	}
}

func TestPeer_DownAndNotReady(t *testing.T) {
	g := newGroup(t, upstream.PeerOptions{Down: true}, upstream.PeerOptions{State: upstream.Coming, MaxFails: 1, FailTimeout: time.Hour})
	down, starting := g.Peers()[0], g.Peers()[1]
	if down.Usable(at(0)) || starting.Usable(at(0)) {
		t.Error("a peer is usable that is down or starting")
	}
	starting.SetState(upstream.Serving)
	if !starting.Usable(at(0)) {
		t.Error("a peer is not usable that is ready")
	}
	starting.Report(starting.Runs(), upstream.Broken, at(0))
	starting.SetState(upstream.Coming)
	starting.SetState(upstream.Serving) // another process
	if !starting.Usable(at(0)) || starting.Fails() != 0 {
		t.Error("a new process has its predecessor's failures")
	}
}

// TestPeer_FailuresLowerTheWeight: each failure takes weight/max_fails off, each turn gives one back.
func TestPeer_FailuresLowerTheWeight(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{Weight: 5, MaxFails: 2, FailTimeout: time.Second}, upstream.PeerOptions{}).Peers()[0]
	for range 3 { // 5 -> 3 -> 1 -> 0
		p.Report(p.Runs(), upstream.Broken, at(0))
	}
	for _, want := range []int64{0, 1, 2, 3, 4, 5, 5} {
		if got := p.EffectiveWeight(at(0)); got != want*upstream.WeightUnit {
			t.Errorf("got weight %d, want %d units", got, want)
		}
	}
}

// TestPeer_PredecessorsFailuresCountForNobody: the news of a failure may come when the process has been replaced already.
func TestPeer_PredecessorsFailuresCountForNobody(t *testing.T) {
	opts := upstream.PeerOptions{MaxFails: 1, FailTimeout: time.Hour}
	p := newGroup(t, opts, opts).Peers()[0]
	for range 500 {
		old := p.Runs()
		var late sync.WaitGroup
		for _, outcome := range []upstream.Outcome{upstream.Broken, upstream.Died} {
			late.Go(func() { p.Report(old, outcome, at(0)) })
		}
		p.SetState(upstream.Coming)
		p.SetState(upstream.Serving)
		late.Wait()
		if !p.Usable(at(0)) || p.Fails() != 0 || p.EffectiveWeight(at(0)) != upstream.WeightUnit {
			t.Fatal("a process is out of use for what its predecessor did")
		}
	}
	if p.Failures() != 1000 {
		t.Errorf("got %d failures, want all counted", p.Failures())
	}
}

// TestPeer_DiesWithoutASupervisor: nobody waits for news that do not come.
func TestPeer_DiesWithoutASupervisor(t *testing.T) {
	opts := queued()
	opts.Unsupervised = true
	g := groupOf(t, 1, opts)
	q, p := newPicker(g), g.Peers()[0]
	p.Report(p.Runs(), upstream.Died, time.Now())
	q.retry(p).join().want(t, -1, upstream.ErrNoPeers)
	if got := g.Queue().Total; got != 0 {
		t.Errorf("got %d requests that waited, want none", got)
	}
}
