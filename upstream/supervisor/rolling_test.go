package supervisor_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestRestart_ReplacesAllOneByOne(t *testing.T) {
	h := newHarness(t, "serve", 3, spares(t, 1))
	if err := h.Restart(t.Context()); err == nil || !strings.Contains(err.Error(), "not started") {
		t.Errorf("Restart before Start: got %v", err)
	}
	h.start(t)
	h.awaitReady(t, 3)
	before := h.byNumber()
	if err := h.Restart(bounded(t)); err != nil {
		t.Fatal(err)
	}
	after := h.byNumber()
	if len(after) != 3 || after[1] == before[1] || after[2] == before[2] || after[3] == before[3] {
		t.Errorf("got processes %v after %v, want three others", after, before)
	}
	h.settled()
	if n := h.fewestReady(3); n != 3 {
		t.Errorf("got %d processes ready in between, want always 3: %+v", n, h.seen)
	}
	if n := h.Totals().Exits[supervisor.ReasonRestart]; n != 3 {
		t.Errorf("got %d exits by restart, want 3", n)
	}
	if len(h.records(t, "backend restarted")) != 1 {
		t.Error("no record says that the backend was restarted")
	}
}

func TestRestart_WithoutASpareMissesOneAtATime(t *testing.T) {
	h := newHarness(t, "serve", 3, nil)
	h.start(t)
	h.awaitReady(t, 3)
	before := h.byNumber()
	if err := h.Restart(bounded(t)); err != nil {
		t.Fatal(err)
	}
	h.settled()
	if n := h.fewestReady(3); n != 2 {
		t.Errorf("got %d processes ready in between, want 2: %+v", n, h.seen)
	}
	if after := h.byNumber(); len(after) != 3 || after[1] == before[1] || after[3] == before[3] {
		t.Errorf("got processes %v after %v, want three others", after, before)
	}
}

func TestRestart_StopsAtTheFirstThatIsNoGood(t *testing.T) {
	h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Ready.Timeout = 5 * time.Second
	})
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	f := func(role string, want ...string) {
		t.Helper()
		h.become(t, role)
		err := h.Restart(bounded(t))
		if err == nil {
			t.Fatalf("%s: got no error", role)
		}
		for _, part := range append(want, "process 1", "0 of 2 processes were replaced") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %v, want %q in it", role, err, part)
			}
		}
	}
	f("exit", "exit code 3", "line 24")
	f("elsewhere", "not ready", "127.0.0.1:")
	h.settled()
	if after := h.byNumber(); !maps.Equal(before, after) || h.fewestReady(2) != 2 {
		t.Errorf("got processes %v, want %v all the time", after, before)
	}
}

func TestRestart_OneThatListensBeforeItLoadsHasToSettle(t *testing.T) {
	f := func(t *testing.T, change func(*supervisor.Options)) {
		t.Helper()
		h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
			if change != nil {
				change(o)
			}
			o.Ready.Settle = patience // the test ends long before: a process that ends does not have to be waited for
		})
		h.start(t)
		h.awaitReady(t, 2) // the first ones take nobody's place
		before := h.byNumber()
		h.become(t, "hasty")
		err := h.Restart(bounded(t))
		if err == nil || !strings.Contains(err.Error(), "exit code 22") || !strings.Contains(err.Error(), "0 of 2") {
			t.Errorf("got %v, want an error with the exit code and the count", err)
		}
		if after := h.byNumber(); after[2] != before[2] || change != nil && after[1] != before[1] {
			t.Errorf("got processes %v, want those of %v", after, before)
		}
	}
	t.Run("with a spare", func(t *testing.T) { f(t, spares(t, 1)) })
	t.Run("without", func(t *testing.T) { f(t, nil) })
}

func TestRestart_ThatSettlesReplacesAll(t *testing.T) {
	h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Ready.Settle = time.Millisecond
	})
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	if err := h.Restart(bounded(t)); err != nil {
		t.Fatal(err)
	}
	if after := h.byNumber(); after[1] == before[1] || after[2] == before[2] {
		t.Errorf("got processes %v after %v, want two others", after, before)
	}
}

func TestRestart_WithoutASpareTriesOn(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	h.become(t, "exit")
	if err := h.Restart(bounded(t)); err == nil || !strings.Contains(err.Error(), "process 1: ended before it was ready") {
		t.Fatalf("got %v, want an error that names process 1", err)
	}
	if after := h.byNumber(); len(after) != 1 || after[2] != before[2] {
		t.Errorf("got processes %v, want the second of %v", after, before)
	}
	h.become(t, "serve")
	h.awaitReady(t, 2)
}

func TestRestart_EndsWithItsContextAndWithStop(t *testing.T) {
	h := newHarness(t, "serve", 2, spares(t, 1))
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	h.become(t, "deaf")
	restart := func(ctx context.Context) <-chan error {
		done := make(chan error, 1)
		go func() { done <- h.Restart(ctx) }() // ends with ctx or with Stop
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := restart(ctx)
	h.until(t, "third start", func(e supervisor.Event) bool { return e.State == supervisor.Starting && e.Restarts == 1 })
	second, cancelSecond := context.WithCancel(t.Context()) // waits for its turn
	cancelSecond()
	if err := h.Restart(second); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the second restart to wait", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it canceled", err)
	}
	h.untilState(t, supervisor.Idle) // what was begun is ended
	if after := h.byNumber(); !maps.Equal(after, before) {
		t.Errorf("got processes %v, want %v", after, before)
	}
	done = restart(t.Context())
	h.untilState(t, supervisor.Starting)
	h.stop(t)
	if err := <-done; !errors.Is(err, supervisor.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
	if err := h.Restart(t.Context()); !errors.Is(err, supervisor.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
}

func TestRestart_WarmsUp(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Ready.Path, o.Ready.Warmup = "/", []string{"/warm/up", "/warm/missing"}
	})
	h.start(t)
	v := h.witness.next(t)
	h.untilState(t, supervisor.Ready)
	v.tell(t, "ask")
	for _, want := range []string{"asked /warm/up", "asked /warm/missing", "here"} {
		if !v.lines.Scan() || v.lines.Text() != want {
			t.Errorf("got %q, want %q", v.lines.Text(), want)
		}
	}
	h.stop(t)

	cold := newHarness(t, "serve", 1, func(o *supervisor.Options) { o.Ready.Warmup = []string{"/warm/broken"} })
	cold.start(t)
	if e := cold.untilState(t, supervisor.Exited); e.Reason != supervisor.ReasonNotReady {
		t.Errorf("got %+v, want it not ready", e)
	}
	record := cold.records(t, "process not ready")[0]
	if err := record["err"].(string); !strings.Contains(err, "/warm/broken: 500") {
		t.Errorf("got %q, want the path and the status", err)
	}
}

// What was ready and died has not "ended before it was ready".
func TestRestart_SaysThatTheNewOneDiedAfterItWasReady(t *testing.T) {
	drained := make(chan struct{})
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Drain = func(context.Context, int) { <-drained }
	})
	h.start(t)
	h.awaitReady(t, 1)
	defer close(drained)
	ended := make(chan error, 1)
	go func() { ended <- h.Restart(bounded(t)) }() // ends with the kill
	h.untilState(t, supervisor.Draining)
	h.Kill(h.portOf(t, 1), supervisor.ReasonBusyTimeout)
	err := <-ended
	if err == nil || strings.Contains(err.Error(), "before it was ready") || !strings.Contains(err.Error(), "soon after it was ready") {
		t.Errorf("got %v", err)
	}
}
