package relay

import (
	"fmt"
	"testing"
	"time"

	"spillway/proxy"
	"spillway/upstream"
)

// How blame is divided, and how long it lasts, are internals.

// trial is a guard of a group of one peer whose processes end.
type trial struct {
	*PoisonGuard

	began time.Time
	n     uint64 // ends so far
}

func newTrial() *trial {
	return &trial{PoisonGuard: NewPoisonGuard(PoisonOptions{}), began: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (g *trial) at(seconds int) time.Time { return g.began.Add(time.Duration(seconds) * time.Second) }

// end lets a process end, at which so many requests are, for one of them.
func (g *trial) end(ex *proxy.Exchange, second, requests int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	e := &end{visit: visit{peer: (*upstream.Peer)(nil), run: g.n}, at: g.at(second), most: requests}
	g.blame(g.of(ex, g.shapeOf(ex), e.at), e, e.at.Add(-time.Second/2))
}

func asking(target string) *proxy.Exchange {
	return &proxy.Exchange{Method: []byte("GET"), Host: []byte("site.test"), Path: []byte(target)}
}

func (g *trial) want(t *testing.T, ex *proxy.Exchange, second int, held bool) {
	t.Helper()
	if _, got := g.held(ex, g.at(second)); got != held {
		t.Errorf("second %d: got held %v, want %v", second, got, held)
	}
}

func TestPoisonGuard_HoldsForAWhile(t *testing.T) {
	g, ex := newTrial(), asking("/")
	g.end(ex, 0, 1)
	g.want(t, ex, 1, false)
	g.end(ex, 2, 1)
	g.want(t, ex, 3, true)
	g.want(t, ex, 62, true)
	g.want(t, asking("/other"), 62, false)
	g.want(t, ex, 63, false) // one may try
	g.end(ex, 64, 1)
	g.want(t, ex, 65, true)
	g.absolve(ex)
	g.want(t, ex, 66, false)
	g.end(ex, 100, 1)
	g.end(ex, 100+301, 1) // the one before is forgotten
	g.want(t, ex, 402, false)
	g.end(ex, 403, 1)
	g.want(t, ex, 404, true)
}

// TestPoisonGuard_ForgetsByItself: when nobody is suspected any more, requests are not looked up.
func TestPoisonGuard_ForgetsByItself(t *testing.T) {
	g := newTrial()
	g.end(asking("/"), 0, 1)
	g.want(t, asking("/other"), 300, false)
	if g.known.Load() != 1 {
		t.Error("forgotten too soon")
	}
	g.want(t, asking("/other"), 361, false)
	if g.known.Load() != 0 {
		t.Error("still known")
	}
}

// TestPoisonGuard_WeighsSuspects: of four requests at a process one has a quarter of the blame.
func TestPoisonGuard_WeighsSuspects(t *testing.T) {
	g, ex := newTrial(), asking("/")
	for i := range 7 {
		g.end(ex, i, 4)
	}
	g.want(t, ex, 8, false)
	g.end(ex, 8, 4)
	g.want(t, ex, 9, true)
}

// TestPoisonGuard_OneEventCountsOnce: eight requests that look the same end eight processes at once, as a power failure would.
func TestPoisonGuard_OneEventCountsOnce(t *testing.T) {
	g, ex := newTrial(), asking("/")
	for range 8 {
		g.end(ex, 1, 1)
	}
	g.want(t, ex, 2, false)
	g.end(ex, 3, 1)
	g.want(t, ex, 4, true)
}

func TestPoisonGuard_ShapeIsWhatLooksTheSame(t *testing.T) {
	g := newTrial()
	f := func(a, b string, same bool) {
		t.Helper()
		x, y := asking("/p"), asking("/p")
		x.Query, y.Query = []byte(a), []byte(b)
		if got := g.shapeOf(x) == g.shapeOf(y); got != same {
			t.Errorf("%q and %q: got the same %v", a, b, got)
		}
	}
	f("", "", true)
	f("a=1", "a=2", true)
	f("a=1&b=2", "b=&a", true)
	f("a=1", "b=1", false)
	f("a=1", "a=1&a=2", false)
	f("a=1", "", false)
	x, y := asking("/p"), asking("/p")
	y.Method = []byte("PUT")
	if g.shapeOf(x) == g.shapeOf(y) {
		t.Error("got the same for two methods")
	}
}

func TestPoisonGuard_RemembersSoManyOnly(t *testing.T) {
	g := newTrial()
	for i := range 3 * maxSuspects {
		g.end(asking(fmt.Sprint("/", i)), i/10, 1)
	}
	all := g.Suspects(g.at(3 * maxSuspects / 10))
	if len(all) != maxSuspects || all[0].Last.Before(all[len(all)-1].Last) {
		t.Errorf("got %d, want %d, the latest first", len(all), maxSuspects)
	}
}
