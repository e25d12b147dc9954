//go:build linux && (amd64 || arm64)

package socket

import (
	"os"
	"runtime"
	"testing"
	"time"

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
		busy.Add(away)
		defer busy.Add(-away)
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

// watched is what a wait has found that nothing has interrupted.
func watched(l *loop) (n int) {
	for n = -1; n < 0; {
		n = l.watch()
	}
	return n
}

func TestLoop_ParksWhenNothingHasComeForAWhile(t *testing.T) {
	l := idleLoop(t)
	l.lively = enough
	if n := watched(l); n != 0 || l.lively != 0 {
		t.Errorf("got %d events and %d waits in a row that were brief, want none", n, l.lively)
	}
}

// TestTask_IsKnownToBeBusy outside of its loop, but for its waits.
func TestTask_IsKnownToBeBusy(t *testing.T) {
	near, far := ends(t)
	check := func(when string, want int32) {
		for end := time.Now().Add(10 * time.Second); busy.Load() != want; runtime.Gosched() { // those of other tests are about to end
			if time.Now().After(end) {
				t.Errorf("got %d tasks that are busy %s, want %d", busy.Load(), when, want)
				return
			}
		}
	}
	check("before", 0) // out here: to wait in the loop would be to hold it up
	do(t, near.loop, func(task *Task) {
		near.Bind(task)
		check("inside", 0)
		task.Leave()
		check("outside", 1)
		go func() { // ends when the task waits
			for near.in.state.Load() != awaited {
				runtime.Gosched()
			}
			check("in a wait", 0)
			_, _ = far.Write([]byte("x"))
		}()
		if n, err := near.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		check("after a wait", 1)
		task.Return()
		check("inside again", 0)
	})
}

// alarm is read when it has gone off: for that, nobody of this process has to do anything.
type alarm struct {
	*os.File

	fd int
}

func newAlarm(t *testing.T) alarm {
	t.Helper()
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	a := alarm{os.NewFile(uintptr(fd), "alarm"), fd}
	t.Cleanup(func() { a.Close() })
	return a
}

func (a alarm) set(t *testing.T, after time.Duration) {
	t.Helper()
	once := unix.ItimerSpec{Value: unix.NsecToTimespec(after.Nanoseconds())}
	if err := unix.TimerfdSettime(a.fd, 0, &once, nil); err != nil {
		t.Fatal(err)
	}
}

// await waits for it in Go's poller, and says whether it has gone off.
func (a alarm) await() bool {
	n, _ := a.Read(make([]byte, 8))
	return n > 0
}

// TestLoop_LeavesGosPollerToAnotherThread: a loop that was in Go's poller keeps its thread, and the others there are woken all the same.
func TestLoop_LeavesGosPollerToAnotherThread(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		t.Skip("nobody else has a processor then")
	}
	l, own, others := idleLoop(t), newAlarm(t), newAlarm(t)
	rung := make(chan struct{})
	go func() { // ends with the alarm
		for others.await() {
			l.ringBell()
			rung <- struct{}{}
		}
	}()
	woken := 0
	const tries = 20
	for range tries {
		own.set(t, time.Millisecond)
		own.await() // as a loop that parks
		l.turns, l.lively = 0, enough
		others.set(t, brief/4)
		if watched(l) > 0 {
			woken++
		}
		<-rung
		l.look(0)
		l.tell(&unix.EpollEvent{Fd: int32(l.bell)})
	}
	if woken < tries/2 {
		t.Errorf("got %d of %d that were woken during the wait of a loop, want them all, or most if the machine is busy", woken, tries)
	}
}
