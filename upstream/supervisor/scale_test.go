package supervisor_test

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"spillway/upstream/supervisor"
)

// traffic says which ports are busy.
type traffic struct {
	mu   sync.Mutex
	busy map[int]int64
	all  int64 // of the others
}

func (l *traffic) at(port int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.busy[port]; ok {
		return n
	}
	return l.all
}

func (l *traffic) set(all int64, busy map[int]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all, l.busy = all, busy
}

func newDynamic(t *testing.T, count supervisor.Count) (*harness, *traffic) {
	t.Helper()
	load := new(traffic)
	return newHarness(t, "serve", count.Max, func(o *supervisor.Options) {
		o.Processes, o.Busy = count, load.at
	}), load
}

func TestDemand_StartsOneMore(t *testing.T) {
	h, load := newDynamic(t, supervisor.Count{Min: 0, Max: 2, Idle: time.Hour})
	load.set(1, nil)
	h.start(t)
	if n := h.Totals().Starts; n != 0 {
		t.Fatalf("got %d processes at the start, want none", n)
	}
	for want := 1; want <= 2; want++ {
		h.Demand()
		h.awaitReady(t, want)
	}
	for range 100 {
		h.Demand()
	}
	h.Recycle(h.portOf(t, 2), supervisor.ReasonMaxRequests) // comes after it, and there is no spare
	h.untilState(t, supervisor.Exited)
	h.awaitReady(t, 2)
	if n := h.Totals().Starts; n != 3 {
		t.Errorf("got %d starts, want 2 and one that was replaced", n)
	}
}

func TestScale_FollowsTheLoad(t *testing.T) {
	h, load := newDynamic(t, supervisor.Count{Min: 1, Max: 4, SpareMin: 1, SpareMax: 2, Idle: time.Millisecond})
	load.set(1, nil)
	h.start(t)
	h.awaitReady(t, 4) // all are busy, and one is to be idle
	load.set(0, map[int]int64{h.portOf(t, 4): 3})
	h.settled()
	if e := h.untilState(t, supervisor.Exited); e.Process != 3 || e.Reason != supervisor.ReasonIdle {
		t.Errorf("got %+v, want the last one that is idle stopped", e)
	}
	h.untilState(t, supervisor.Idle)
	load.set(1, nil)
	if e := h.untilState(t, supervisor.Ready); e.Process != 3 {
		t.Errorf("got %+v, want process 3 again", e)
	}
	load.set(0, nil)
	var stopped []int
	for range 2 {
		stopped = append(stopped, h.untilState(t, supervisor.Idle).Process)
	}
	if !slices.Equal(stopped, []int{4, 3}) {
		t.Errorf("got processes %v stopped, want 4 and 3", stopped)
	}
}

func TestStart_OnDemandLooksForTheProgram(t *testing.T) {
	h := newHarness(t, "serve", 1, func(o *supervisor.Options) {
		o.Processes.Min, o.Command = 0, []string{filepath.Join(t.TempDir(), "nothing")}
	})
	// Windows looks for its endings, too, and has another error when there is none.
	if err := h.Start(t.Context()); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v, want that there is no such program", err)
	}
}
