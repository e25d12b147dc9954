package upstream_test

import (
	"sync"
	"testing"
	"time"

	"spillway/upstream"
)

func TestPeer_TimesAreMovingAverages(t *testing.T) {
	p := newGroup(t, upstream.PeerOptions{}, upstream.PeerOptions{}).Peers()[0]
	if p.HeadTime() != 0 || p.ResponseTime() != 0 {
		t.Fatalf("got %v and %v before anything was measured", p.HeadTime(), p.ResponseTime())
	}
	p.NoteHead(p.Runs(), 100*time.Millisecond)
	p.NoteHead(p.Runs(), 300*time.Millisecond) // 95 % of the old value and 5 % of the new one
	p.NoteResponse(p.Runs(), time.Second)
	if p.HeadTime() != 110*time.Millisecond || p.ResponseTime() != time.Second {
		t.Errorf("got %v and %v, want 110ms and 1s", p.HeadTime(), p.ResponseTime())
	}
	old := p.Runs()
	p.SetState(upstream.Coming)
	p.SetState(upstream.Serving)
	p.NoteHead(old, time.Hour)
	p.NoteResponse(old, time.Hour)
	if p.HeadTime() != 0 || p.ResponseTime() != 0 {
		t.Errorf("got %v and %v, want nothing of the process before", p.HeadTime(), p.ResponseTime())
	}
}

func flying(t *testing.T, until upstream.Flights) *upstream.Peer {
	t.Helper()
	g, err := upstream.NewGroup(upstream.GroupOptions{
		Name: "g", Protocol: mute{}, Flights: until, Peers: []upstream.PeerOptions{{Address: "127.0.0.1:1"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g.Peers()[0]
}

func TestPeer_FlightsLastAsLongAsTheGroupSays(t *testing.T) {
	for until, want := range map[upstream.Flights][3]time.Duration{
		upstream.NoFlights: {},
		upstream.UntilHead: {3 * time.Second, 2 * time.Second, 0},
		upstream.UntilEnd:  {3 * time.Second, 3 * time.Second, 2 * time.Second},
	} {
		p, now := flying(t, until), time.Now().Add(time.Hour)
		end := now.Add(4 * time.Second)
		first, second := p.Depart(now), p.Depart(now.Add(2*time.Second))
		var got [3]time.Duration
		got[0] = p.FlightTime(end)
		first.Head()
		got[1] = p.FlightTime(end)
		first.Land()
		first.Land()
		second.Head()
		got[2] = p.FlightTime(end)
		for i := range got {
			if got[i].Round(10*time.Millisecond) != want[i] {
				t.Errorf("%v: got %v, want %v", until, got, want)
				break
			}
		}
		second.Land()
		if left := p.FlightTime(end); left != 0 {
			t.Errorf("%v: got %v when all have ended", until, left)
		}
	}
}

func TestPeer_FlightsOfManyGoroutines(t *testing.T) {
	p, now := flying(t, upstream.UntilEnd), time.Now()
	stays := p.Depart(now)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 1000 {
				flight := p.Depart(now.Add(time.Duration(i*n) * time.Millisecond))
				p.NoteHead(p.Runs(), time.Second)
				flight.Land()
			}
		})
	}
	wg.Wait()
	if got := p.FlightTime(now.Add(time.Second)).Round(10 * time.Millisecond); got != time.Second || p.HeadTime() != time.Second {
		t.Errorf("got %v in flight, %v on average, want 1s each", got, p.HeadTime())
	}
	stays.Land()
}
