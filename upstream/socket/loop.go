//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop waits for many sockets at once, with epoll(7), and runs the tasks that wait for them, one after the other.
type loop struct {
	epoll  int
	events [32]unix.EpollEvent // what came last
	queue  []work              // to be done in this turn, from done on
	done   int
	stages
	ring  *ring   // nil: there is none
	idle  []*Task // without a job
	spare int     // of those, how many were not needed since the last trim

	parking parking
	lively  int // how many waits in a row were brief
	turns   int // how many there were since the last wait in Go's poller; enough or more: another thread waits there

	// What it is doing, for the guard.
	steps   uint64
	current atomic.Uint64 // the number of the present step; 0: none
	running atomic.Pointer[Task]
	idling  atomic.Int32 // how many tasks are idle

	mu      sync.Mutex // guards what follows
	posted  []work     // by others
	waiting bool       // whoever posts has to ring
	bell    int        // an eventfd(2) that ends the wait
}

// work is something for a loop to do: let a task go on, or have one do a job.
type work struct {
	task *Task
	job  func(*Task)
	trim bool // instead: end tasks that are not needed any more
}

// loops are those of the process, made when the first socket wants one: one thread can serve many sockets, and the second core
// has the applications to run. None, if the system does not let us.
var loops = sync.OnceValue(func() []*loop {
	var all []*loop
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		l, err := newLoop()
		if err != nil {
			return nil
		}
		all = append(all, l)
		go l.run() // as long as the process
	}
	countProcessors(len(all))
	go guard(all) // likewise
	return all
})

// turn is whose turn it is to get a socket.
var turn atomic.Uint32

// anyLoop returns the loop that is to have the next socket; nil without loops.
func anyLoop() *loop {
	all := loops()
	if len(all) == 0 {
		return nil
	}
	return all[int(turn.Add(1))%len(all)]
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(epoll))
	}
	parking, err := newParking(epoll)
	if err != nil {
		return nil, errors.Join(err, unix.Close(bell), unix.Close(epoll))
	}
	l := &loop{epoll: epoll, bell: bell, parking: parking, ring: newRing()}
	rings := unix.EpollEvent{Events: unix.EPOLLIN | epollET, Fd: int32(bell)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, bell, &rings); err != nil {
		return nil, errors.Join(os.NewSyscallError("epoll_ctl", err), unix.Close(bell), unix.Close(epoll))
	}
	return l, nil
}

// epollET is EPOLLET as the events have it.
const epollET = unix.EPOLLET & 0xffffffff

// run is the loop: it takes what has come, then does all of what that is for. It ends when the guard has another goroutine go on.
func (l *loop) run() {
	for {
		for l.done < len(l.queue) {
			w := l.queue[l.done]
			l.queue[l.done] = work{}
			l.done++
			if l.done < len(l.queue) {
				l.prepare(l.queue[l.done])
			}
			if !l.do(w) {
				return
			}
		}
		l.queue, l.done = l.queue[:0], 0
		l.sendAll()
		came := l.events[:l.await()]
		for i := range came {
			prefetch(uintptr(unsafe.Pointer(registered(came[i].Fd))), unsafe.Sizeof(descriptor{}))
		}
		for i := range came {
			l.tell(&came[i])
		}
		l.receiveAll()
		l.takePosted()
	}
}

// tell tells a descriptor what has come for it.
func (l *loop) tell(event *unix.EpollEvent) {
	if int(event.Fd) == l.bell {
		var rings [8]byte
		_, _ = unix.Read(l.bell, rings[:])
		return
	}
	if d := registered(event.Fd); d != nil && d.serial == event.Pad { // else it was closed since
		d.happened(l, event.Events)
	}
}

func (l *loop) takePosted() {
	l.mu.Lock()
	l.queue = append(l.queue, l.posted...)
	l.posted = emptied(l.posted)
	l.mu.Unlock()
}

// post has the loop do something; anybody may call it.
func (l *loop) post(w work) {
	l.mu.Lock()
	l.posted = append(l.posted, w)
	ring := l.waiting
	l.waiting = false
	l.mu.Unlock()
	if ring {
		l.ringBell()
	}
}

// ringBell ends the loop's wait.
func (l *loop) ringBell() {
	one := [8]byte{0: 1, 7: 1} // not 0 in either order of bytes
	_, _ = unix.Write(l.bell, one[:])
}

// do does one piece of work, until it waits. It says whether the goroutine still is the loop's.
func (l *loop) do(w work) bool {
	if w.trim {
		l.trim()
		return true
	}
	t := w.task
	if t == nil {
		t = l.task()
		t.job = w.job
	}
	t.place.Store(inside)
	l.steps++
	step := l.steps
	l.running.Store(t)
	l.current.Store(step)
	why, _ := t.next()
	if !l.current.CompareAndSwap(step, 0) { // the guard has made the task one that has left, and this its goroutine
		if why == leaves { // just before
			t.next()
		}
		busy.Add(-1)
		l.post(work{task: t})
		return false
	}
	switch why {
	case waits:
	case leaves:
		busy.Add(1)
		go t.travel() // ends when the task returns
	case returns: // it was made to leave, and came back before anybody knew
		l.queue = append(l.queue, work{task: t})
	case rests:
		l.idle = append(l.idle, t)
		l.idling.Store(int32(len(l.idle)))
	}
	return true
}

// travel runs a task that has left its loop.
func (t *Task) travel() {
	t.next() // until it returns: it rests, and waits for sockets, only in its loop
	busy.Add(-1)
	t.loop.post(work{task: t})
}

// patience is how long a task may hold up its loop.
const patience = 100 * time.Millisecond

// trimEvery is how often tasks that are not needed any more are looked for, in times of patience.
const trimEvery = 30

// guard looks after loops: one that is held up by a task goes on without it, and one that had much to do gives back what it needed.
func guard(all []*loop) {
	last := make([]uint64, len(all))
	ticks := 0
	for range time.Tick(patience) {
		ticks++
		countProcessors(len(all))
		for i, l := range all {
			step, t := l.current.Load(), l.running.Load()
			if step != 0 && step == last[i] && step == l.current.Load() && t.expel() && l.current.CompareAndSwap(step, 0) {
				busy.Add(1)
				go l.run() // the goroutine that was the loop brings the task back, and ends
			}
			last[i] = step
			if ticks%trimEvery == 0 && l.idling.Load() > 0 {
				l.post(work{trim: true})
			}
		}
	}
}

// task returns a task without a job.
func (l *loop) task() *Task {
	if last := len(l.idle) - 1; last >= 0 {
		t := l.idle[last]
		l.idle[last] = nil
		l.idle = l.idle[:last]
		l.spare = min(l.spare, last)
		return t
	}
	return newTask(l)
}

// trim ends the tasks that nobody has needed since the last trim: each has a stack.
func (l *loop) trim() {
	for _, t := range l.idle[:l.spare] {
		t.stop()
	}
	l.idle = slices.Delete(l.idle, 0, l.spare)
	l.spare = len(l.idle)
	l.idling.Store(int32(l.spare))
}
