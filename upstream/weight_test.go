package upstream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream"
)

// TestPeer_SlowStartLetsTheWeightGrow: after failures, with the success that ends them; with a new process; and when probes
// speak for the peer again.
func TestPeer_SlowStartLetsTheWeightGrow(t *testing.T) {
	opts := upstream.PeerOptions{Weight: 4, MaxFails: 1, FailTimeout: 10 * time.Second, SlowStart: 100 * time.Second}
	shares := func(p *upstream.Peer, from time.Time, want ...float64) {
		t.Helper()
		for i, w := range want {
			at := from.Add(time.Duration(i) * 25 * time.Second)
			if got := float64(p.Share(at)) / upstream.WeightUnit; got < w-0.01 || got > w+0.01 {
				t.Errorf("after %v: got a weight of %.3f, want %.0f", at.Sub(from), got, w)
			}
			if got := p.Share(at); got == 0 {
				t.Errorf("after %v: got no weight at all", at.Sub(from))
			}
		}
	}
	p := newGroup(t, opts, opts).Peers()[0]
	shares(p, at(0), 4)
	p.Report(p.Runs(), upstream.Broken, at(0))
	p.Take(at(11))
	p.Report(p.Runs(), upstream.Succeeded, at(12))
	shares(p, at(12), 0, 1, 2, 3, 4, 4)
	for range 4 {
		p.EffectiveWeight(at(200)) // each turn gives back one of the four that the failure took
	}
	if got := p.EffectiveWeight(at(200)); got != 4*upstream.WeightUnit {
		t.Errorf("got an effective weight of %d, want all of it", got)
	}

	single := newGroup(t, opts).Peers()[0]
	synctest.Test(t, func(*testing.T) {
		for _, peer := range []*upstream.Peer{p, single} {
			peer.SetState(upstream.Coming)
			peer.SetState(upstream.Serving)
		}
		shares(p, time.Now(), 0, 1, 2, 3, 4, 4)
		shares(single, time.Now(), 4)
		probed := newGroup(t, opts, opts).Peers()[0]
		probed.SetHealth(probed.Runs(), upstream.Unhealthy)
		shares(probed, time.Now(), 4)
		probed.SetHealth(probed.Runs(), upstream.Healthy)
		shares(probed, time.Now(), 0, 1, 2, 3, 4, 4)
	})
}

// TestPeer_DrainedIsForTheBound: nobody else gets it, or waits for it.
func TestPeer_DrainedIsForTheBound(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{Drain: true, MaxConns: 1}, upstream.PeerOptions{}).Peers()[0]
	if p.Usable(at(0)) || !p.UsableByBound(at(0)) || !p.Drain() {
		t.Error("want a peer for the bound only")
	}
	p.Take(at(0))
	if p.UsableByBound(at(0)) {
		t.Error("a full peer is usable by the bound")
	}
}
