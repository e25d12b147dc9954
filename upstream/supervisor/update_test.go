package supervisor_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"spillway/upstream/porttest"
	"spillway/upstream/supervisor"
)

// changed returns the options with other ones.
func (h *harness) changed(change func(*supervisor.Options)) supervisor.Options {
	o := h.opts
	o.Env, o.Ports = maps.Clone(o.Env), slices.Clone(o.Ports)
	change(&o)
	return o
}

func (h *harness) update(t *testing.T, change func(*supervisor.Options)) {
	t.Helper()
	if err := h.Update(bounded(t), h.changed(change)); err != nil {
		t.Fatalf("%v\n%s", err, h.log.String())
	}
}

func (h *harness) ports() []int {
	var ports []int
	states := h.Snapshot()
	for i := range states {
		ports = append(ports, states[i].Port)
	}
	return ports
}

func TestUpdate_ReplacesByOtherOptions(t *testing.T) {
	h := newHarness(t, "serve", 2, spares(t, 1))
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	h.update(t, func(o *supervisor.Options) { o.StopTimeout, o.MaxAge = time.Minute, time.Hour })
	if after := h.byNumber(); !maps.Equal(after, before) {
		t.Errorf("got processes %v, want %v: no program sees the difference", after, before)
	}
	h.update(t, func(o *supervisor.Options) { o.Command = append(o.Command, "new") })
	after := h.byNumber()
	if len(after) != 2 || after[1] == before[1] || after[2] == before[2] {
		t.Errorf("got processes %v after %v, want others", after, before)
	}
	for number := range after {
		if answer := get(t, h.portOf(t, number)); !slices.Equal(answer.Args, []string{"new"}) {
			t.Errorf("got arguments %v of process %d", answer.Args, number)
		}
	}
	h.settled()
	if n := h.fewestReady(2); n != 2 {
		t.Errorf("got %d processes ready in between, want always 2", n)
	}
}

func TestUpdate_MovesToOtherPorts(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	h.start(t)
	h.awaitReady(t, 2)
	all := porttest.Free(t, 2)
	h.update(t, func(o *supervisor.Options) { o.Ports = all })
	if got := h.ports(); !slices.Equal(got, all) {
		t.Errorf("got ports %v, want %v", got, all)
	}
	h.settled()
	if len(h.byNumber()) != 2 || h.fewestReady(2) != 2 {
		t.Errorf("got %+v", h.Snapshot())
	}
	// One of two ports stays, the other changes; and it is not the one of the process that comes first.
	half := []int{all[1], h.opts.Ports[0]}
	h.update(t, func(o *supervisor.Options) { o.Ports = half })
	if got := h.ports(); !slices.Equal(got, half) || len(h.byNumber()) != 2 {
		t.Errorf("got ports %v, processes %v, want ports %v", got, h.byNumber(), half)
	}
}

func TestUpdate_ChangesTheNumber(t *testing.T) {
	h := newHarness(t, "serve", 2, nil)
	h.start(t)
	h.awaitReady(t, 2)
	before := h.byNumber()
	more := func(o *supervisor.Options) {
		o.Processes = supervisor.Count{Min: 4, Max: 4}
		spares(t, 0)(o)
	}
	h.update(t, more)
	h.awaitReady(t, 4)
	if after := h.byNumber(); after[1] != before[1] || after[2] != before[2] {
		t.Errorf("got processes %v, want those of %v to stay", after, before)
	}
	h.settled()
	h.update(t, func(o *supervisor.Options) { o.Processes = supervisor.Count{Min: 1, Max: 1}; o.Ports = o.Ports[:1] })
	for range 3 {
		if e := h.untilState(t, supervisor.Idle); e.Process == 1 {
			t.Errorf("got %+v, want process 1 to stay", e)
		}
	}
	if after := h.byNumber(); len(after) != 1 || after[1] != before[1] {
		t.Errorf("got processes %v, want the first of %v", after, before)
	}
}

func TestUpdate_GoesBack(t *testing.T) {
	f := func(name string, spare int) {
		h := newHarness(t, "serve", 2, spares(t, spare))
		h.start(t)
		h.awaitReady(t, 2)
		before := h.byNumber()
		err := h.Update(bounded(t), h.changed(func(o *supervisor.Options) {
			o.Command = append(o.Command, "new")
			o.Directory = t.TempDir()
			o.Ports = append(o.Ports, porttest.Free(t, 1)...)
			o.Env[roleVar] = "serve-first" // process 2 fails
		}))
		if err == nil || !strings.Contains(err.Error(), "process 2: ended before it was ready: exit code 3") {
			t.Fatalf("%s: got %v, want an error that names process 2", name, err)
		}
		h.awaitReady(t, 2)
		for number, pid := range h.byNumber() {
			if answer := get(t, h.portOf(t, number)); len(answer.Args) != 0 {
				t.Errorf("%s: got arguments %v of process %d", name, answer.Args, number)
			}
			if number == 2 && pid != before[2] {
				t.Errorf("%s: process 2 was replaced", name)
			}
		}
		if got := h.ports(); !slices.Equal(got, h.opts.Ports) {
			t.Errorf("%s: got ports %v, want %v", name, got, h.opts.Ports)
		}
		h.settled()
		if n := h.fewestReady(2); n != 2 {
			t.Errorf("%s: got %d processes ready in between, want always 2", name, n)
		}
		h.stop(t)
	}
	f("with a spare", 1)
	f("with a spare of the new options only", 0)
}

func TestUpdate_RefusesWhatCannotWork(t *testing.T) {
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	before := h.byNumber()
	f := func(want string, change func(*supervisor.Options)) {
		t.Helper()
		if err := h.Update(bounded(t), h.changed(change)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	f("0 ports", func(o *supervisor.Options) { o.Ports = nil })
	f("no-such-program", func(o *supervisor.Options) { o.Command = []string{"no-such-program"} })
	f("the options are as they were", func(o *supervisor.Options) { o.Command = []string{"no-such-program"} })
	if after := h.byNumber(); !maps.Equal(after, before) {
		t.Errorf("got processes %v, want %v untouched", after, before)
	}
}

func TestUpdate_GoesBackInPlace(t *testing.T) {
	h := newHarness(t, "serve", 1, nil)
	h.start(t)
	h.awaitReady(t, 1)
	err := h.Update(bounded(t), h.changed(func(o *supervisor.Options) { o.Env[roleVar] = "exit" }))
	if err == nil || strings.Contains(err.Error(), "back to the old options") {
		t.Errorf("got %v, want an error, and the way back without one", err)
	}
	if get(t, h.portOf(t, 1)).Number != "1" {
		t.Error("the process does not answer")
	}
}

// A process that is down, for the lack of a database, is no reason to refuse what its program does not see.
func TestUpdate_DoesNotWaitForWhatIsDownAndStaysTheSame(t *testing.T) {
	h := newHarness(t, "exit", 1, func(o *supervisor.Options) { o.BackoffMin, o.BackoffMax = time.Hour, time.Hour })
	h.start(t)
	h.untilState(t, supervisor.Restarting)
	h.update(t, func(o *supervisor.Options) { o.StopTimeout = time.Minute })
	h.become(t, "serve")
	if err := h.Restart(bounded(t)); err != nil {
		t.Error(err)
	}
}

// Who is about to stop the backend does not want to wait until all is as it was.
func TestUpdate_DoesNotGoBackBeforeAStop(t *testing.T) {
	h := newHarness(t, "serve", 2, spares(t, 1))
	h.start(t)
	h.awaitReady(t, 2)
	h.settled()
	ctx, cancel := context.WithCancelCause(bounded(t))
	ended := make(chan error, 1)
	go func() { // ends with ctx
		ended <- h.Update(ctx, h.changed(func(o *supervisor.Options) { o.Command = append(o.Command, "new") }))
	}()
	h.untilState(t, supervisor.Ready)
	h.become(t, "deaf") // from now on nobody gets ready
	h.untilState(t, supervisor.Exited)
	h.untilState(t, supervisor.Starting)
	cancel(supervisor.ErrStopped)
	if err := <-ended; err == nil || strings.Contains(err.Error(), "back to") {
		t.Errorf("got %v", err)
	}
}
