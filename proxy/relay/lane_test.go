package relay

import (
	"net/netip"
	"testing"
	"time"

	"spillway/upstream"
)

// What a location learns, and whose a request is, are internals.

func TestHandler_LearnsItsLane(t *testing.T) {
	pace := &Pace{}
	location := func(learns bool) *Handler { return &Handler{opts: Options{Pace: pace, LearnLane: learns}} }
	report, page, ping := location(true), location(true), location(true)
	other := location(false)
	serve := func(h *Handler, took time.Duration, n int) (changes int) {
		for range n {
			if _, changed := h.learn(took); changed {
				changes++
			}
		}
		return changes
	}
	for range 100 { // most requests are pages
		serve(report, 3*time.Second, 1)
		serve(page, 200*time.Millisecond, 3)
		serve(other, 250*time.Millisecond, 3)
		serve(ping, 2*time.Millisecond, 1)
	}
	if got := [...]upstream.Lane{report.lane(), page.lane(), ping.lane(), other.lane()}; got != [...]upstream.Lane{
		upstream.Bulk, upstream.Normal, upstream.Express, upstream.Normal,
	} {
		t.Errorf("got %v of a report, a page, a ping and a page that learns nothing", got)
	}
	if got := time.Duration(pace.median.Load()); got < 180*time.Millisecond || got > 280*time.Millisecond {
		t.Errorf("got a median of %v, want that of the pages", got)
	}
	serve(other, 250*time.Millisecond, 300) // the median settles there
	if changes := serve(report, 20*time.Millisecond, 100); changes == 0 || report.lane() == upstream.Bulk {
		t.Errorf("got %v after the report became quick", report.lane())
	}
}

// TestHandler_LearnsNothingTooSoon: a few requests are no habit.
func TestHandler_LearnsNothingTooSoon(t *testing.T) {
	pace := &Pace{}
	page, report := &Handler{opts: Options{Pace: pace}}, &Handler{opts: Options{Pace: pace, LearnLane: true}}
	for range 300 {
		page.learn(10 * time.Millisecond)
	}
	for range learnAfter - 1 {
		if _, changed := report.learn(time.Minute); changed {
			t.Fatal("changed too soon")
		}
	}
	if lane, changed := report.learn(time.Minute); lane != upstream.Bulk || !changed {
		t.Errorf("got %v, changed %v, want bulk after %d requests", lane, changed, learnAfter)
	}
}

func TestLaneOf_StaysUntilHalfway(t *testing.T) {
	f := func(now upstream.Lane, mean time.Duration, want upstream.Lane) {
		t.Helper()
		if got := laneOf(now, mean, 200*time.Millisecond); got != want {
			t.Errorf("%v with %v: got %v, want %v", now, mean, got, want)
		}
	}
	f(upstream.Normal, 800*time.Millisecond, upstream.Normal)
	f(upstream.Normal, 801*time.Millisecond, upstream.Bulk)
	f(upstream.Bulk, 401*time.Millisecond, upstream.Bulk)
	f(upstream.Bulk, 400*time.Millisecond, upstream.Normal)
	f(upstream.Normal, 50*time.Millisecond, upstream.Normal)
	f(upstream.Normal, 49*time.Millisecond, upstream.Express)
	f(upstream.Express, 99*time.Millisecond, upstream.Express)
	f(upstream.Express, 100*time.Millisecond, upstream.Normal)
	f(upstream.Express, time.Hour, upstream.Bulk)
	if got := laneOf(upstream.Normal, 99*time.Millisecond, time.Millisecond); got != upstream.Normal {
		t.Errorf("got %v for a request that delays nobody", got)
	}
}

func TestClientOf(t *testing.T) {
	f := func(address, want string) {
		t.Helper()
		wanted := netip.Addr{}
		if want != "" {
			wanted = netip.MustParseAddr(want)
		}
		if got := clientOf(address); got != wanted {
			t.Errorf("%s: got %v, want %v", address, got, wanted)
		}
	}
	f("192.0.2.7", "192.0.2.7")
	f("::ffff:192.0.2.7", "192.0.2.7")
	f("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")
	f("2001:db8:1:2::9", "2001:db8:1:2::")
	f("fe80::1%eth0", "fe80::")
	f("unix:", "")
	f("", "")
}
