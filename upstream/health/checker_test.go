package health_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream"
	"spillway/upstream/health"
)

// mute is a Protocol that is never spoken.
type mute struct{}

func (mute) Send(*upstream.Conn, *upstream.Request) error     { return nil }
func (mute) Receive(*upstream.Conn, *upstream.Response) error { return nil }

var errSick = errors.New("status 500, want 200-399")

// harness is a Checker with peers that only a function asks, in a bubble of synctest.
type harness struct {
	t       *testing.T
	group   *upstream.Group
	checker *health.Checker
	log     bytes.Buffer

	mu     sync.Mutex // guards all below
	answer func(ctx context.Context) error
	total  int // probes
	now    int // probes on their way
	most   int // of them at the same time
}

// newHarness starts a checker every 10 s, with a timeout of 2 s, 3 fails and 2 passes.
func newHarness(t *testing.T, peers int, change func(*upstream.GroupOptions, *health.Options)) *harness {
	t.Helper()
	h := &harness{t: t, answer: func(context.Context) error { return nil }}
	group := upstream.GroupOptions{Name: "app", Scheme: "http", Protocol: mute{}}
	for range peers {
		group.Peers = append(group.Peers, upstream.PeerOptions{Address: "127.0.0.1:1"})
	}
	opts := health.Options{
		Probe: h.probe, Interval: 10 * time.Second, Timeout: 2 * time.Second, Fails: 3, Passes: 2,
		Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	}
	if change != nil {
		change(&group, &opts)
	}
	var err error
	if h.group, err = upstream.NewGroup(group); err != nil {
		t.Fatal(err)
	}
	opts.Group = h.group
	h.checker = health.Start(opts)
	t.Cleanup(h.checker.Close)
	return h
}

func (h *harness) probe(ctx context.Context, _ *upstream.Peer) error {
	h.mu.Lock()
	h.total++
	h.now++
	h.most = max(h.most, h.now)
	answer := h.answer
	h.mu.Unlock()
	err := answer(ctx)
	h.mu.Lock()
	h.now--
	h.mu.Unlock()
	return err
}

// become changes what peers answer.
func (h *harness) become(answer func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = answer
}

func (h *harness) probes() int {
	total, _ := h.figures()
	return total
}

// figures are the number of probes, and how many were on their way at the same time.
func (h *harness) figures() (total, most int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.total, h.most
}

// await lets the time pass until so many more probes have ended.
func (h *harness) await(more int) {
	h.t.Helper()
	for want := h.probes() + more; h.probes() < want; {
		<-time.After(100 * time.Millisecond)
	}
	synctest.Wait()
}

func (h *harness) peer() *upstream.Peer { return h.group.Peers()[0] }

// want compares the verdict on the first peer, and how often the log has told of a change.
func (h *harness) want(when string, verdict upstream.Health, sick, well int) {
	h.t.Helper()
	synctest.Wait()
	if got := h.peer().Health(); got != verdict {
		h.t.Errorf("%s: got verdict %v, want %v", when, got, verdict)
	}
	for message, want := range map[string]int{`"peer is unhealthy"`: sick, `"peer is healthy"`: well} {
		if got := strings.Count(h.log.String(), message); got != want {
			h.t.Errorf("%s: got %d lines %s, want %d\n%s", when, got, message, want, &h.log)
		}
	}
}

func sick(context.Context) error { return errSick }

func well(context.Context) error { return nil }

// silent answers never.
func silent(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestChecker_CountsInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		h := newHarness(t, 1, func(_ *upstream.GroupOptions, o *health.Options) {
			o.OnUnhealthy = func(*upstream.Peer) { told++ }
		})
		h.await(2)
		h.want("well", upstream.Healthy, 0, 0)
		h.become(sick)
		h.await(2)
		h.become(well)
		h.await(1)
		h.become(sick)
		h.await(2)
		h.want("two failures, a success, two failures", upstream.Healthy, 0, 0)
		h.await(1)
		h.want("three in a row", upstream.Unhealthy, 1, 0)
		h.await(5)
		h.want("and more", upstream.Unhealthy, 1, 0)
		h.become(well)
		h.await(1)
		h.want("a success", upstream.Unhealthy, 1, 0)
		h.await(1)
		h.want("two in a row", upstream.Healthy, 1, 1)
		h.await(5)
		h.want("and more", upstream.Healthy, 1, 1)
		if told != 1 {
			t.Errorf("OnUnhealthy: got %d calls, want 1", told)
		}
		if text := h.log.String(); !strings.Contains(text, errSick.Error()) || !strings.Contains(text, "all peers are unhealthy") {
			t.Errorf("the log does not say why, or that nobody is left:\n%s", text)
		}
	})
}

func TestChecker_SaysWhatItSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, nil)
		if s := h.checker.Of(h.peer()); !s.At.IsZero() || s.Err != nil {
			t.Errorf("before the first probe: got %+v, want nothing", s)
		}
		h.await(2)
		h.become(silent)
		h.await(1)
		<-time.After(3 * time.Second)
		s := h.checker.Of(h.peer())
		if s.Total != [3]uint64{2, 1, 0} || s.Took != 2*time.Second || s.Err == nil || s.Err.Error() != "no answer within 2s" {
			t.Errorf("got %+v, want two probes that passed, and one without an answer within 2s", s)
		}
	})
}

// TestChecker_SpreadsProbes holds that many peers are not asked at once, none of them twice at the same time, and each as often
// as it should be.
func TestChecker_SpreadsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const peers = 100
		h := newHarness(t, peers, nil)
		<-time.After(101 * time.Second)
		if got := h.probes(); got < 9*peers || got > 13*peers {
			t.Errorf("got %d probes in 101 s, want ten or eleven for each of %d peers", got, peers)
		}
		if _, most := h.figures(); most > 3 {
			t.Errorf("got %d probes at the same time", most)
		}
		for i, p := range h.group.Peers() {
			if n := h.checker.Of(p).Total[health.Passed]; n < 9 || n > 13 {
				t.Errorf("peer %d: got %d probes, want ten or eleven", i, n)
			}
		}
	})
}

func TestChecker_OneProbeOfAPeerAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, func(_ *upstream.GroupOptions, o *health.Options) { o.Timeout = time.Minute })
		h.become(silent)
		<-time.After(10 * time.Minute)
		if total, most := h.figures(); most != 1 || total < 8 {
			t.Errorf("got %d probes, %d of them at the same time; want about nine, one at a time", total, most)
		}
	})
}

func TestChecker_LeavesABusyPeerAlone(t *testing.T) {
	limited := func(queue int) func(*upstream.GroupOptions, *health.Options) {
		return func(g *upstream.GroupOptions, _ *health.Options) { g.Concurrency, g.Queue.Length = 1, queue }
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, limited(10))
		h.become(sick)
		h.peer().Take(time.Now())
		<-time.After(time.Minute)
		if s := h.checker.Of(h.peer()); h.probes() != 0 || s.Total[health.Skipped] < 5 || !s.At.IsZero() {
			t.Errorf("got %d probes of a process that is busy, and %+v; want them skipped", h.probes(), s)
		}
		h.peer().Free()
		h.await(3)
		h.want("not busy any more", upstream.Unhealthy, 1, 0)
	})
	synctest.Test(t, func(t *testing.T) { // nobody could wait for the slot of the probe
		h := newHarness(t, 1, limited(0))
		h.become(silent)
		h.await(1)
		if !h.peer().Take(time.Now()) {
			t.Fatal("a probe has taken the slot of a request that cannot wait")
		}
		<-time.After(time.Minute)
		h.want("the probe waited behind a request", upstream.Healthy, 0, 0)
		if s := h.checker.Of(h.peer()); s.Total[health.Failed] != 0 || s.Total[health.Skipped] < 5 {
			t.Errorf("got %+v, want all skipped", s)
		}
	})
}

func TestChecker_FirstSuccessIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Bool
		h := newHarness(t, 1, func(g *upstream.GroupOptions, o *health.Options) {
			g.Initial = upstream.Unhealthy
			probe := o.Probe
			o.Probe = func(ctx context.Context, p *upstream.Peer) error {
				err := probe(ctx, p)
				if !asked.Swap(true) { // the first probe is on its way when newHarness returns
					err = errSick
				}
				return err
			}
		})
		h.await(1)
		h.want("before the first success", upstream.Unhealthy, 0, 0)
		h.become(well)
		h.await(1)
		h.want("after it", upstream.Healthy, 0, 1)
		h.become(sick)
		h.await(3)
		h.become(well)
		h.await(1)
		h.want("later one success is not enough", upstream.Unhealthy, 1, 1)
	})
}

func TestChecker_PeersComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, func(g *upstream.GroupOptions, o *health.Options) {
			g.Initial, o.Interval = upstream.Unhealthy, time.Hour
		})
		h.await(1)
		added, err := h.group.Add(upstream.PeerOptions{Address: "127.0.0.1:2"})
		if err != nil {
			t.Fatal(err)
		}
		if added.Health() != upstream.Unhealthy {
			t.Error("a peer that was added is not unhealthy until it was probed")
		}
		<-time.After(2 * time.Second)
		if got := h.checker.Of(added).Total[health.Passed]; got != 1 || added.Health() != upstream.Healthy {
			t.Errorf("got %d probes of a peer that was added, and verdict %v", got, added.Health())
		}
		h.group.Remove(added)
		<-time.After(2 * time.Hour)
		if got := h.checker.Of(added); got != (health.Status{}) {
			t.Errorf("got %+v of a peer that was removed, want nothing", got)
		}
		if got := h.probes(); got > 5 {
			t.Errorf("got %d probes in two hours, want two at the start, and one or two of the peer that is left", got)
		}
	})
}

func TestChecker_JudgesTheProcessThatItAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, func(_ *upstream.GroupOptions, o *health.Options) { o.Fails = 1 })
		h.become(func(context.Context) error {
			<-time.After(time.Second)
			return errSick
		})
		h.await(1)
		h.peer().SetState(upstream.Coming)
		h.peer().SetState(upstream.Serving)
		<-time.After(2 * time.Second)
		h.want("the process was replaced during the probe", upstream.Healthy, 0, 0)
		if s := h.checker.Of(h.peer()); s.Total != [3]uint64{0, 0, 1} {
			t.Errorf("got %+v, want one probe that says nothing", s)
		}
		h.become(sick)
		h.await(1)
		h.want("its successor is no better", upstream.Unhealthy, 1, 0)
		before := h.probes()
		h.peer().SetState(upstream.Coming)
		<-time.After(time.Minute)
		if got := h.probes(); got != before {
			t.Errorf("got %d probes of a process that does not serve", got-before)
		}
		h.peer().SetState(upstream.Serving)
		h.want("the next one begins as healthy", upstream.Healthy, 1, 0)
	})
}

func TestChecker_CountsForEachProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 1, nil)
		h.become(sick)
		h.await(2)
		h.peer().SetState(upstream.Coming)
		h.peer().SetState(upstream.Serving)
		h.await(2)
		h.want("two failures of a process, two of the next", upstream.Healthy, 0, 0)
		h.await(1)
		h.want("three failures of one", upstream.Unhealthy, 1, 0)
	})
}

// TestChecker_CloseEndsAll relies on synctest, which does not end before the last goroutine has.
func TestChecker_CloseEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, 3, func(_ *upstream.GroupOptions, o *health.Options) { o.Fails = 1 })
		h.become(silent)
		h.await(3)
		h.checker.Close()
		synctest.Wait()
		h.mu.Lock()
		left := h.now
		h.mu.Unlock()
		if left != 0 {
			t.Errorf("got %d probes after Close", left)
		}
		before := h.probes()
		<-time.After(time.Hour)
		h.want("closed during a probe", upstream.Healthy, 0, 0)
		if got := h.probes(); got != before {
			t.Errorf("got %d probes after Close", got-before)
		}
	})
}
