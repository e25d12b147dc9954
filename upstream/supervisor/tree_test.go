package supervisor_test

import (
	"context"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

func TestBackend_KillsWhatIgnoresTheStop(t *testing.T) {
	h := newHarness(t, "stubborn", 2, func(o *supervisor.Options) { o.StopTimeout = time.Millisecond })
	h.start(t)
	h.awaitReady(t, 2)
	programs := h.witness.take(t, 2)
	h.stop(t)
	for _, v := range programs {
		v.awaitGone(t)
	}
	for _, s := range h.Snapshot() {
		if s.LastExit.Text != killedExit {
			t.Errorf("got %s, want %s", s.LastExit.Text, killedExit)
		}
	}
}

func TestBackend_StopEndsWithItsContext(t *testing.T) {
	h := newHarness(t, "stubborn", 1, func(o *supervisor.Options) { o.StopTimeout = time.Hour })
	h.start(t)
	h.awaitReady(t, 1)
	program := h.witness.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Stop(ctx); err != nil {
		t.Error(err)
	}
	program.awaitGone(t)
}

func TestBackend_StopsWhileStartingAndWhileWaiting(t *testing.T) {
	starting := newHarness(t, "deaf", 1, func(o *supervisor.Options) { o.StopTimeout = time.Millisecond })
	starting.start(t)
	starting.stop(t)
	if got, want := starting.drain()[1], "starting stopping exited stopped"; got != want {
		t.Errorf("got events %s, want %s", got, want)
	}
	if lines := starting.records(t, "process not ready"); len(lines) > 0 {
		t.Errorf("got %v, want nothing about a process that nobody waits for any more", lines)
	}
	waiting := newHarness(t, "exit", 1, func(o *supervisor.Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	waiting.start(t)
	waiting.await(t, supervisor.Starting)
	waiting.awaitExit(t)
	waiting.await(t, supervisor.Restarting)
	waiting.stop(t)
	if got, want := waiting.drain()[1], "stopped"; got != want {
		t.Errorf("got events %s, want %s", got, want)
	}
}

// What comes after the stop is dropped, not kept for nobody.
func TestBackend_KeepsNothingAfterTheStop(t *testing.T) {
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.stop(t)
	for range 100 {
		h.Recycle(h.opts.Ports[0], supervisor.ReasonMaxRequests)
		h.Kill(h.opts.Ports[0], supervisor.ReasonBusyTimeout)
		h.Demand()
	}
	if n := h.Jobs(); n != 0 {
		t.Errorf("got %d jobs that nobody takes", n)
	}
}

func TestBackend_KillsTheTreeOfACrashedProcess(t *testing.T) {
	h := newHarness(t, "parent", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	programs := h.witness.take(t, 2)
	programs["parent 1"].tell(t, "exit 1")
	programs["grandchild 1"].awaitGone(t)
}

func TestBackend_StopsTheWholeTree(t *testing.T) {
	h := newHarness(t, "parent", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	programs := h.witness.take(t, 2)
	h.stop(t)
	for _, v := range programs {
		v.awaitGone(t)
	}
}

// The test's program is here a supervisor with two processes that each have started another.
func TestBackend_NothingOutlivesTheSupervisor(t *testing.T) {
	w := newWitness(t)
	spillway := inRole("supervisor")()
	spillway.Env = append(spillway.Env, witnessVar+"="+w.ln.Addr().String())
	if err := spillway.Start(); err != nil {
		t.Fatal(err)
	}
	programs := w.take(t, 5)
	if err := spillway.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	spillway.Wait()
	for _, v := range programs {
		v.awaitGone(t)
	}
	if len(programs) != 5 {
		t.Errorf("got %v, want five different programs", programs)
	}
}
