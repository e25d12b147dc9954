package supervisor_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"

	"spillway/upstream/porttest"
	"spillway/upstream/supervisor"
)

// spares adds free ports.
func spares(t *testing.T, n int) func(*supervisor.Options) {
	t.Helper()
	return func(o *supervisor.Options) {
		o.Ports = append(o.Ports, porttest.Free(t, o.Processes.Max+n-len(o.Ports))...)
	}
}

func TestRecycle_ReplacesBesideTheOldOne(t *testing.T) {
	h := newHarness(t, "serve", 2, spares(t, 1))
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	old := h.portOf(t, 1)
	for range 3 { // asked again while it goes on
		h.Recycle(old, supervisor.ReasonMaxRequests)
	}
	gone := h.untilState(t, supervisor.Idle)
	if gone.Process != 1 || gone.Port != old {
		t.Errorf("got %+v, want port %d of process 1 free", gone, old)
	}
	h.settled()
	if n := h.fewestReady(2); n != 2 {
		t.Errorf("got %d processes ready in between, want always 2: %+v", n, h.seen)
	}
	after := h.byNumber()
	if after[1] == before[1] || after[2] != before[2] || len(after) != 2 {
		t.Errorf("got processes %v, want another first one than of %v", after, before)
	}
	if h.portOf(t, 1) == old || get(t, h.portOf(t, 1)).Number != "1" {
		t.Error("process 1 does not answer at the spare port")
	}
	totals := h.Totals()
	if totals.Starts != 3 || totals.Restarts != 1 || !maps.Equal(totals.Exits, map[supervisor.Reason]int{"max_requests": 1}) {
		t.Errorf("got %+v, want one exit by max_requests", totals)
	}
	states := h.Snapshot()
	for i := range states {
		s := &states[i]
		if s.Port == old && (s.State != supervisor.Idle || s.Number != 0 || s.Exits != 1 || s.PID != 0) {
			t.Errorf("got %+v, want a spare", s)
		}
	}
}

func TestRecycle_WithoutASpareReplacesInPlace(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	h.Recycle(h.opts.Ports[1], supervisor.ReasonMaxAge)
	h.Recycle(1, supervisor.ReasonMaxAge) // is no port of ours
	h.untilState(t, supervisor.Exited)
	e := h.untilState(t, supervisor.Ready)
	if e.Process != 2 || e.Port != h.opts.Ports[1] || e.Restarts != 1 {
		t.Errorf("got %+v, want process 2 at its port", e)
	}
	if after := h.byNumber(); after[1] != before[1] || after[2] == before[2] {
		t.Errorf("got processes %v after %v", after, before)
	}
}

func TestRecycle_OneAtATime(t *testing.T) {
	h := newHarness(t, "serve", 3, spares(t, 3))
	h.start(t)
	h.awaitReady(t, 3)
	for _, port := range h.opts.Ports[:3] {
		h.Recycle(port, supervisor.ReasonMaxAge)
	}
	for range 3 {
		h.untilState(t, supervisor.Idle)
	}
	running, most := 0, 0
	for _, e := range h.seen {
		switch e.State {
		case supervisor.Starting:
			running++
		case supervisor.Exited:
			running--
		default:
		}
		most = max(most, running)
	}
	if most != 4 || h.fewestReady(3) != 3 {
		t.Errorf("got up to %d processes and at least %d ready, want 4 and 3", most, h.fewestReady(3))
	}
}

func TestRecycle_LeavesTheOldOneWhenTheNewOneIsNoGood(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.BackoffMax = time.Millisecond
	})
	h.start(t)
	h.awaitReady(t, 1)
	before := h.byNumber()
	h.become(t, "exit")
	h.Recycle(h.portOf(t, 1), supervisor.ReasonMaxMemory)
	for range 2 { // it is tried again
		h.untilState(t, supervisor.Idle)
	}
	if after := h.byNumber(); !maps.Equal(before, after) {
		t.Errorf("got processes %v, want %v", after, before)
	}
	h.become(t, "serve")
	h.until(t, "exit by max_memory", func(e supervisor.Event) bool {
		return e.State == supervisor.Exited && e.Reason == supervisor.ReasonMaxMemory
	})
	if h.fewestReady(1) != 1 {
		t.Errorf("got a moment without a process: %+v", h.seen)
	}
	record := h.records(t, "process not replaced")[0]
	if record["level"] != "WARN" || !strings.Contains(record["err"].(string), "exit code 3") {
		t.Errorf("got record %v", record)
	}
}

func TestRecycle_TheOldOneDiesBeforeTheNewOneIsReady(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Ready.Path = "/"
	})
	h.start(t)
	h.awaitReady(t, 1)
	old := h.witness.next(t)
	port := h.portOf(t, 1)
	h.become(t, "serve-unhealthy")
	h.Recycle(port, supervisor.ReasonMaxAge)
	successor := h.witness.next(t)
	old.tell(t, "exit 1")
	h.untilState(t, supervisor.Idle)
	successor.tell(t, "recover")
	h.awaitReady(t, 1)
	if h.portOf(t, 1) == port {
		t.Error("the old port is in use, want the new process to have taken over")
	}
	if n := h.Totals().Starts; n != 2 {
		t.Errorf("got %d starts, want 2", n)
	}
	h.settled()
	h.become(t, "serve")
	h.Recycle(h.portOf(t, 1), supervisor.ReasonMaxAge) // nothing is left in the way of the next replacement
	if e := h.untilState(t, supervisor.Idle); e.Port == port {
		t.Errorf("got %+v, want the second process gone", e)
	}
}

func TestKill_StartsAnew(t *testing.T) {
	h := newHarness(t, "stubborn", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.StopTimeout = patience
		o.Drain = func(ctx context.Context, _ int) { <-ctx.Done() }
	})
	h.start(t)
	h.awaitReady(t, 1)
	h.Kill(h.portOf(t, 1), supervisor.ReasonBusyTimeout)
	e := h.untilState(t, supervisor.Exited)
	if e.Reason != supervisor.ReasonBusyTimeout || e.Exit.Text != killedExit {
		t.Errorf("got %+v, want it killed", e)
	}
	if e := h.until(t, "next event", func(supervisor.Event) bool { return true }); e.State != supervisor.Starting {
		t.Errorf("got %+v, want it started without delay", e)
	}
	h.awaitReady(t, 1)
	h.settled()
	h.Recycle(h.portOf(t, 1), supervisor.ReasonMaxAge) // waits for its requests, without end
	port := h.untilState(t, supervisor.Draining).Port
	h.Kill(port, supervisor.ReasonBusyTimeout)
	if e := h.untilState(t, supervisor.Exited); e.Port != port || e.Reason != supervisor.ReasonMaxAge {
		t.Errorf("got %+v, want the draining one killed", e)
	}
	h.Kill(h.portOf(t, 1), supervisor.ReasonBusyTimeout)
}

func TestMaxAge_ReplacesWhatIsOld(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.MaxAge = 100 * time.Millisecond
	})
	h.start(t)
	for range 2 {
		if e := h.untilState(t, supervisor.Exited); e.Reason != supervisor.ReasonMaxAge {
			t.Errorf("got %+v, want the end of an old process", e)
		}
	}
	if h.fewestReady(1) != 1 {
		t.Errorf("got a moment without a process: %+v", h.seen)
	}
}

func TestMaxMemory_ReplacesWhatIsLarge(t *testing.T) {
	h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.MaxMemory = 256 << 20
	})
	h.start(t)
	h.awaitReady(t, 2)
	programs := h.witness.take(t, 2)
	programs["serve 2"].tell(t, "eat 300")
	if e := h.untilState(t, supervisor.Exited); e.Process != 2 || e.Reason != supervisor.ReasonMaxMemory {
		t.Errorf("got %+v, want process 2 replaced", e)
	}
	record := h.records(t, "process too large")[0]
	if record["bytes"].(float64) < 300<<20 || record["limit"].(float64) != 256<<20 {
		t.Errorf("got record %v", record)
	}
	if s := h.ready()[1]; s.Memory < 1<<20 || s.Memory > 256<<20 {
		t.Errorf("got %d bytes of process 1", s.Memory)
	}
}

// Who has counted its requests says so once: what a replacement that comes to nothing has swallowed would be lost for ever.
func TestRecycle_IsNotForgottenWhenARestartFails(t *testing.T) {
	h := newHarness(t, "serve", 1, spares(t, 1))
	h.start(t)
	h.awaitReady(t, 1)
	before := h.ready()[1]
	h.become(t, "deaf")
	ctx, cancel := context.WithCancel(bounded(t))
	defer cancel()
	ended := make(chan error, 1)
	h.settled()
	go func() { ended <- h.Restart(ctx) }() // ends with ctx
	h.untilState(t, supervisor.Starting)
	h.Recycle(before.Port, supervisor.ReasonMaxRequests)
	h.Recycle(before.Port, supervisor.ReasonMaxRequests)
	h.become(t, "serve")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want that the restart was given up", err)
	}
	e := h.until(t, "end of the old run", func(e supervisor.Event) bool {
		return e.State == supervisor.Exited && e.PID == before.PID
	})
	if e.Reason != supervisor.ReasonMaxRequests {
		t.Errorf("got reason %q, want %q", e.Reason, supervisor.ReasonMaxRequests)
	}
	h.awaitReady(t, 1)
}

// The same for one that waits for its turn when the restart is given up.
func TestRecycle_IsNotForgottenWhenARestartThatWaitsIsGivenUp(t *testing.T) {
	drained := make(chan struct{})
	h := newHarness(t, "serve", 2, func(o *supervisor.Options) {
		spares(t, 1)(o)
		o.Drain = func(ctx context.Context, _ int) {
			select {
			case <-drained:
			case <-ctx.Done():
			}
		}
	})
	h.start(t)
	h.awaitReady(t, 2)
	first, second := h.ready()[1], h.ready()[2]
	h.settled()
	h.Recycle(second.Port, supervisor.ReasonMaxAge)
	h.untilState(t, supervisor.Draining) // and stays so
	ctx, cancel := context.WithCancel(bounded(t))
	ended := make(chan error, 1)
	go func() { ended <- h.Restart(ctx) }() // ends with ctx
	for h.Queued() == 0 && ctx.Err() == nil {
		runtime.Gosched()
	}
	h.Recycle(first.Port, supervisor.ReasonMaxRequests)
	cancel()
	<-ended
	close(drained)
	h.until(t, "end of the other old run", func(e supervisor.Event) bool {
		return e.State == supervisor.Exited && e.PID == first.PID && e.Reason == supervisor.ReasonMaxRequests
	})
	h.awaitReady(t, 2)
}
