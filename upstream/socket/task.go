//go:build linux && (amd64 || arm64)

package socket

import (
	"iter"
	"sync/atomic"
)

// Task is work that waits in a loop. As long as it is there, a Read or Write that has to wait hands the thread over to whatever
// else the loop has to do, which costs a small part of what the scheduler takes for two goroutines. In return, nothing in it may
// wait for anything but its sockets: that would hold up all of the loop. Work that is about to do so calls Leave first; if it
// does not, the loop goes on without it after a while.
//
// All methods but Go do nothing on nil, the task of who is on a goroutine of its own.
type Task struct {
	loop  *loop
	place atomic.Uint32 // inside, paused or outside
	job   func(*Task)   // what it is to do

	// What is fetched before it goes on, see prefetch.go.
	stack uintptr // where its stack was when it paused; a stack may move
	uses  [usesOfTask]memory
	used  int

	// The two ends of a coroutine: next runs it, on the thread of the caller, until it yields.
	next  func() (step, bool)
	stop  func()
	yield func(step) bool
}

// Where a task is.
const (
	inside  uint32 = iota // it runs in its loop
	paused                // it waits there
	outside               // it is a goroutine of its own
)

// step is why a task hands over to who has resumed it.
type step uint8

const (
	waits   step = iota // for one of its sockets
	leaves              // the loop
	returns             // to it
	rests               // the job is done
)

// newTask makes a task without a job.
func newTask(l *loop) *Task {
	t := &Task{loop: l}
	t.next, t.stop = iter.Pull(func(yield func(step) bool) {
		t.yield = yield
		for {
			clear(t.uses[:])
			t.job(t)
			t.job = nil
			t.Return()
			t.notePause()
			if !t.pause(rests) {
				return
			}
		}
	})
	return t
}

// Leave makes the task a goroutine of its own, which may wait for anything.
func (t *Task) Leave() {
	if t != nil && t.place.CompareAndSwap(inside, outside) {
		t.yield(leaves)
	}
}

// Return brings a task that has left back into its loop, which is cheaper when it is about to wait for its sockets.
func (t *Task) Return() {
	if t.isOutside() {
		t.yield(returns)
	}
}

// Go has a goroutine do something with the task's sockets; each side of one is used by one of them at a time. The task has left, and
// returns when that has ended. Nil does the same.
func (t *Task) Go(do func()) {
	if t == nil {
		go do() // ends with what it does
		return
	}
	busy.Add(1)
	go func() { // likewise
		defer busy.Add(-1)
		do()
	}()
}

// Yield lets the loop do what else there is to do, for a task that has much to do itself.
func (t *Task) Yield() {
	if t != nil && t.place.CompareAndSwap(inside, paused) {
		t.loop.post(work{task: t})
		t.yield(waits)
	}
}

// expel makes a task that holds up its loop one that has left; false: it has just handed over. It may have been expelled before,
// and the loop not told.
func (t *Task) expel() bool {
	return t.place.CompareAndSwap(inside, outside) || t.place.Load() == outside
}

// pause hands over to the loop, which goes on with the task inside; false: there is nothing more to do.
func (t *Task) pause(why step) bool {
	for !t.place.CompareAndSwap(inside, paused) {
		t.Return() // the loop has gone on without it
	}
	return t.yield(why)
}

func (t *Task) isOutside() bool { return t != nil && t.place.Load() == outside }
