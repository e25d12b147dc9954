//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A loop that has nothing to do waits in one of two ways.
//
// While something comes again and again, it keeps the processor of Go's scheduler. That would otherwise give it to others, for which there
// mostly is no use, and the loop would have to get it back; and Go's watching thread, which looks for such calls, would wake every 20 µs.
// Whoever stops the world, as the collector does, interrupts the wait by a signal.
//
// When little comes, or others may have use for the processor, it waits like any goroutine, in Go's poller: no thread looks at anything
// then. The thread of who waits there last is the one that waits for all of them, and goes on with whoever is woken. If that is a loop which
// is not going to wait there soon, another thread has to take its place: else other loops, and whoever else is there, would be woken when
// Go's watching thread comes by, 10 to 20 ms later.

const (
	// brief is how long a wait may take in which a loop keeps its processor. Go's watching thread asks it to make way every 10 to 20 ms
	// anyway; an interrupted wait is neither brief nor long.
	brief = 8 * time.Millisecond

	// enough is how many waits in a row have to be shorter for that, and how many turns without a wait are many: more than there are
	// in one request.
	enough = 8
)

// busy is how many tasks have left their loops and do not wait for a socket, with the goroutines of Task.Go.
var busy atomic.Int32

// scarce says that there is no processor but those of the loops.
var scarce atomic.Bool

// countProcessors notes whether there are more of them than loops. That may change, with the quota of a container.
func countProcessors(loops int) { scarce.Store(runtime.GOMAXPROCS(0) <= loops) }

// await returns how many events have come, and waits until there is one or something was posted.
func (l *loop) await() int {
	if l.turns++; l.turns == enough {
		handOver()
	}
	if n := l.look(0); n > 0 || len(l.incoming) > 0 {
		return max(0, n)
	}
	l.mu.Lock()
	l.waiting = len(l.posted) == 0
	waiting := l.waiting
	l.mu.Unlock()
	if !waiting {
		return 0
	}
	n := 0
	if l.lively >= enough && busy.Load() <= 0 && !scarce.Load() {
		n = l.watch()
	}
	if n == 0 {
		n = l.park()
	}
	l.mu.Lock()
	l.waiting = false
	l.mu.Unlock()
	return max(0, n)
}

// watch waits for a while, and keeps the processor.
func (l *loop) watch() (n int) {
	if l.turns < enough {
		l.turns = enough
		handOver()
	}
	if n = l.look(brief); n == 0 {
		l.lively = 0
	}
	return n
}

// handOver has another thread wait for those in Go's poller, if this one did: it is woken for something to do, and finds only that.
func handOver() { go func() {}() } // ends at once

// look returns how many events come in a time, of which the scheduler does not know. Less than 0: it was interrupted.
func (l *loop) look(during time.Duration) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])),
		uintptr(len(l.events)), uintptr(during.Milliseconds()), 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// parking is where a loop waits in Go's poller: that knows an epoll descriptor which is told once, if it is asked to, that the loop's
// own has something. If it knew that one, it would wake a thread whenever something comes.
type parking struct {
	epoll int
	conn  syscall.RawConn // of epoll
}

// newParking returns one for the loop's epoll descriptor.
func newParking(loops int) (parking, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return parking{}, os.NewSyscallError("epoll_create1", err)
	}
	_ = unix.SetNonblock(epoll, true) // or else Go's poller does not take it
	file := os.NewFile(uintptr(epoll), "epoll")
	conn, err := file.SyscallConn()
	if err == nil {
		err = os.NewSyscallError("epoll_ctl", unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, loops, &unix.EpollEvent{}))
	}
	if err != nil {
		return parking{}, errors.Join(err, file.Close())
	}
	return parking{epoll: epoll, conn: conn}, nil
}

// park waits in Go's poller, and returns how many events have come.
func (l *loop) park() int {
	began := time.Now()
	l.turns = 0
	once := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(l.parking.epoll), unix.EPOLL_CTL_MOD, uintptr(l.epoll),
		uintptr(unsafe.Pointer(&once)), 0, 0)
	var n int
	if errno == 0 && l.parking.conn.Read(isTold) == nil {
		n = l.look(0)
	} else {
		n, _ = unix.EpollWait(l.epoll, l.events[:], -1)
	}
	if l.lively++; time.Since(began) > brief {
		l.lively = 0
	}
	return n
}

// isTold says whether there is something for the loop that is parked.
func isTold(epoll uintptr) bool {
	told := unix.EpollEvent{}
	n, _, _ := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, epoll, uintptr(unsafe.Pointer(&told)), 1, 0, 0, 0)
	return n == 1
}
