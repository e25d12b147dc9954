//go:build linux && (amd64 || arm64)

package socket

import (
	"testing"

	"golang.org/x/sys/unix"
)

// idleLoop returns a loop that does not run.
func idleLoop(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(l.epoll), unix.Close(l.bell) })
	return l
}

// TestLoop_IsWokenHoweverItWaits has others post something, before it waits or while it does.
func TestLoop_IsWokenHoweverItWaits(t *testing.T) {
	f := func(lively int, away int32, parking func(*loop)) {
		t.Helper()
		l := idleLoop(t)
		parking(l)
		left.Add(away)
		defer left.Add(-away)
		for range 1000 {
			l.lively = lively
			go l.post(work{trim: true}) // ends at once
			for len(l.queue) == 0 {
				for i := range l.await() {
					l.tell(&l.events[i])
				}
				l.takePosted()
			}
			l.queue = l.queue[:0]
		}
	}
	asItIs := func(*loop) {}
	f(0, 0, asItIs)
	f(enough, 0, asItIs)
	f(enough, 1, asItIs)
	f(0, 0, func(l *loop) { l.parking.epoll = -1 }) // Go's poller is of no use
}

func TestLoop_ParksWhenNothingHasComeForAWhile(t *testing.T) {
	l := idleLoop(t)
	for _, away := range []int32{0, 1} {
		left.Add(away)
		l.lively = enough
		if n := l.watch(); n != 0 || l.lively != 0 {
			t.Errorf("got %d events and %d waits in a row that were brief, want none", n, l.lively)
		}
		left.Add(-away)
	}
}

func TestTask_IsKnownToHaveLeft(t *testing.T) {
	do(t, anotherLoop(t), func(task *Task) {
		before := left.Load()
		task.Leave()
		if got := left.Load() - before; got != 1 {
			t.Errorf("got %d more tasks that have left, want 1", got)
		}
		task.Return()
		if got := left.Load() - before; got != 0 {
			t.Errorf("got %d tasks more after its return, want none", got)
		}
	})
}
