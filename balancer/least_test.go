package balancer_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/balancer"
	"spillway/upstream"
)

// TestLeastConn_SequenceOfNginx holds requests at the peers of nginx and of a LeastConn, ends some of them, and compares where
// the next ones go. In a step a number ends the request that began in that step.
func TestLeastConn_SequenceOfNginx(t *testing.T) {
	program := nginx(t)
	const begin = -1
	for name, c := range map[string]struct {
		weights []int
		steps   []int
	}{
		"equal":     {[]int{1, 1, 1}, []int{begin, begin, begin, begin, 1, begin, begin, 0, 2, begin, begin, begin}},
		"weights":   {[]int{3, 1, 2}, []int{begin, begin, begin, begin, begin, begin, begin, 0, 1, begin, 4, 5, begin, begin, begin}},
		"all ended": {[]int{2, 1}, []int{begin, 0, begin, 2, begin, 4, begin, begin, begin, 6, 7, begin, begin, 8, begin}},
	} {
		t.Run(name, func(t *testing.T) {
			compared := comparison{method: "least_conn;", picker: func() balancer.Picker { return balancer.NewLeastConn() }}
			for _, w := range c.weights {
				compared.rivals = append(compared.rivals, rival{weight: w})
			}
			addresses, arrived, leave := listenHolding(t, compared.rivals)
			front := startNginx(t, program, compared, addresses)
			g, picker := groupOf(t, compared, addresses), compared.picker()
			responses, picked := map[int]chan *http.Response{}, map[int]*upstream.Peer{}
			for i, step := range c.steps {
				if step != begin {
					leave[step] <- struct{}{}
					resp := <-responses[step]
					_, _ = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					picked[step].Free()
					continue
				}
				responses[i] = make(chan *http.Response, 1)
				go func() { responses[i] <- ask(t, front, request{key: fmt.Sprint(i)}) }() // ends with the response
				want := <-arrived
				picked[i] = picker.Pick(g.Peers(), &balancer.Hint{Now: time.Now()})
				if got := picked[i].Address(); got != want {
					t.Fatalf("step %d: got %s, nginx %s", i, got, want)
				}
			}
			for i, resp := range responses {
				if !slices.Contains(c.steps, i) {
					leave[i] <- struct{}{}
					(<-resp).Body.Close()
				}
			}
		})
	}
}

// listenHolding starts peers that say who got a request, and answer it when they are told to leave it.
func listenHolding(t *testing.T, rivals []rival) (addresses []string, arrived chan string, leave []chan struct{}) {
	t.Helper()
	arrived = make(chan string)
	for range 100 {
		leave = append(leave, make(chan struct{}))
	}
	for range rivals {
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var i int
			_, _ = fmt.Sscan(r.URL.Query().Get("k"), &i)
			arrived <- r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer).String()
			<-leave[i]
		}))
		t.Cleanup(s.Close)
		addresses = append(addresses, s.Listener.Addr().String())
	}
	return addresses, arrived, leave
}

// rankings are the peers in the order in which p picks them when each takes one request.
func rankings(g *upstream.Group, p balancer.Picker, now time.Time) string {
	var b strings.Builder
	hint := balancer.Hint{Now: now}
	for range g.Peers() {
		peer := p.Pick(g.Peers(), &hint)
		hint.Tried.Add(peer.Index())
		b.WriteByte(byte('a' + peer.Index()))
		peer.Free()
	}
	return b.String()
}

func TestLeastTime_PrefersThePeerThatAnswersSooner(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opts := upstream.PeerOptions{FailTimeout: 10 * time.Second}
	f := func(want string, options balancer.LeastTimeOptions, head, response []int) {
		t.Helper()
		g := group(t, opts, opts, opts)
		for i, peer := range g.Peers() {
			peer.NoteHead(peer.Runs(), time.Duration(head[i])*time.Millisecond)
			peer.NoteResponse(peer.Runs(), time.Duration(response[i])*time.Millisecond)
		}
		p := balancer.NewLeastTime(options)
		rankings(g, p, now) // from now on fail_timeout runs for each
		if got := rankings(g, p, now); got != want {
			t.Errorf("%+v: got %s, want %s", options, got, want)
		}
	}
	f("cab", balancer.LeastTimeOptions{}, []int{200, 900, 100}, []int{100, 200, 900})
	f("abc", balancer.LeastTimeOptions{LastByte: true}, []int{200, 900, 100}, []int{100, 200, 900})
	f("bca", balancer.LeastTimeOptions{}, []int{60_000, 20, 50}, []int{1, 1, 1})
}

// TestLeastTime_CountsWhatIsInFlight: a peer twice as fast gets twice as many at once, and those within 20 ms take turns.
func TestLeastTime_CountsWhatIsInFlight(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opts := upstream.PeerOptions{FailTimeout: 10 * time.Second}
	g := group(t, opts, opts)
	g.Peers()[0].NoteHead(1, 190*time.Millisecond)
	g.Peers()[1].NoteHead(1, 390*time.Millisecond)
	p := balancer.NewLeastTime(balancer.LeastTimeOptions{})
	rankings(g, p, now)
	if got := sequence(g, p, 9, now); strings.Count(got, "a") != 6 {
		t.Errorf("got %s, want two of three at the faster peer", got)
	}
	g = group(t, opts, opts)
	g.Peers()[0].NoteHead(1, 41*time.Millisecond)
	g.Peers()[1].NoteHead(1, 59*time.Millisecond)
	p = balancer.NewLeastTime(balancer.LeastTimeOptions{})
	rankings(g, p, now)
	if got := sequence(g, p, 6, now); strings.Count(got, "a") != 3 {
		t.Errorf("got %s, want both alike", got)
	}
}

// TestLeastTime_GivesASlowPeerAnotherChance: for each fail_timeout in which it is not chosen it counts as twice as fast.
func TestLeastTime_GivesASlowPeerAnotherChance(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	opts := upstream.PeerOptions{FailTimeout: 10 * time.Second}
	g, p := group(t, opts, opts), balancer.NewLeastTime(balancer.LeastTimeOptions{})
	g.Peers()[0].NoteHead(1, 900*time.Millisecond)
	g.Peers()[1].NoteHead(1, 50*time.Millisecond)
	rankings(g, p, now)
	got := ""
	for range 60 { // a request every second
		now = now.Add(time.Second)
		peer := p.Pick(g.Peers(), &balancer.Hint{Now: now})
		peer.Free()
		got += string(byte('a' + peer.Index()))
	}
	// 900 ms, halved every 11 s, come down to 50 ms after 44 s; then the slower one counts as slow again.
	if first := strings.IndexByte(got, 'a'); first < 40 || first > 46 || strings.Count(got, "a") > 2 {
		t.Errorf("got %s, want a chance for the slower one after 44 s", got)
	}
}

// TestLeastTime_SeesAPeerThatHangs: with inflight a peer whose requests take longer than its average counts as slow.
func TestLeastTime_SeesAPeerThatHangs(t *testing.T) {
	opts := []upstream.PeerOptions{{Address: "127.0.0.1:1", FailTimeout: time.Hour}, {Address: "127.0.0.1:2", FailTimeout: time.Hour}}
	for _, inflight := range []bool{false, true} {
		g, err := upstream.NewGroup(upstream.GroupOptions{
			Name: "app", Protocol: speaker{}, Peers: opts, Flights: upstream.UntilHead,
		})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		p := balancer.NewLeastTime(balancer.LeastTimeOptions{Inflight: inflight})
		g.Peers()[0].NoteHead(1, 100*time.Millisecond)
		g.Peers()[1].NoteHead(1, 900*time.Millisecond)
		rankings(g, p, now)
		g.Peers()[0].Take(now)
		flight := g.Peers()[0].Depart(now)
		later := now.Add(4 * time.Second)
		want := "ab" // 2 * 120 ms against 920 ms
		if inflight {
			want = "ba" // 2 * 4 s against 920 ms
		}
		if got := rankings(g, p, later); got != want {
			t.Errorf("inflight %v: got %s, want %s", inflight, got, want)
		}
		flight.Head()
		if got := rankings(g, p, later); got != "ab" {
			t.Errorf("inflight %v: got %s after the head was there, want ab", inflight, got)
		}
	}
}
