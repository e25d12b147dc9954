package upstream_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"spillway/upstream"
)

func budgeted(t *testing.T, budget upstream.RetryBudget) *upstream.Group {
	t.Helper()
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Protocol: mute{}, Retries: budget, Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestRetryBudget_Slides(t *testing.T) {
	g := budgeted(t, upstream.RetryBudget{Percent: 20, Min: 1})
	take := func(second, want int, wantTold bool) {
		t.Helper()
		got, told := 0, 0
		for range 1000 {
			ok, tell := g.TakeRetry(at(second))
			if ok {
				got++
			}
			if tell {
				told++
			}
		}
		if got != want || (told == 1) != wantTold || told > 1 {
			t.Errorf("second %d: got %d retries, told %d times, want %d, told %v", second, got, told, want, wantTold)
		}
	}
	requests := func(second, n int) {
		for range n {
			g.CountRequest(at(second))
		}
	}
	take(0, 10, true) // the least of ten seconds
	take(9, 0, false) // it is known
	take(10, 10, true)
	requests(20, 400)
	take(20, 80, true)
	requests(25, 600)
	take(25, 120, false)
	take(29, 0, false)
	take(30, 0, true) // 20 % of the 600 of the second 25 are used up
	take(35, 10, false)
	if got := g.Retries(at(35)); got.Recent != 10 || got.Allowed != 10 || got.Total != 230 || got.Denied != 8*1000-230 {
		t.Errorf("got %+v", got)
	}
}

func TestRetryBudget_IsExactForAll(t *testing.T) {
	g := budgeted(t, upstream.RetryBudget{Percent: 50})
	var all sync.WaitGroup
	var taken atomic.Int64
	for range 16 {
		all.Go(func() {
			for range 1000 {
				g.CountRequest(at(0))
			}
		})
	}
	all.Wait()
	for range 16 {
		all.Go(func() {
			for range 1000 {
				if ok, _ := g.TakeRetry(at(0)); ok {
					taken.Add(1)
				}
			}
		})
	}
	all.Wait()
	if taken.Load() != 8000 {
		t.Errorf("got %d retries, want half of 16000 requests", taken.Load())
	}
}

func TestRetryBudget_ZeroIsNoBound(t *testing.T) {
	g := budgeted(t, upstream.RetryBudget{})
	for range 1000 {
		if ok, tell := g.TakeRetry(start); !ok || tell {
			t.Fatal("a retry was denied")
		}
	}
}

func BenchmarkGroup_CountRequest(b *testing.B) {
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Protocol: mute{}, Retries: upstream.RetryBudget{Percent: 20, Min: 3}, Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.CountRequest(now)
		}
	})
}
