//go:build linux && (amd64 || arm64)

package socket

import (
	"sync"
	"sync/atomic"
	"time"
)

// side is the reading or the writing of a descriptor: whether something has happened that has not been looked at, or who waits
// for that. One at a time waits.
type side struct {
	state   atomic.Uint32 // unchanged, changed, or a wait
	expired atomic.Bool   // the deadline has passed

	// Who waits, set before the state becomes awaited: a task, a goroutine at wake, or a job that is to be done then.
	task    *Task
	wake    chan struct{}
	outside bool // the goroutine is one of those that busy counts
	job     func(*Task)
	of      *loop // that is to have the job done

	mu    sync.Mutex // guards what follows
	due   time.Time
	timer *time.Timer
}

// The states of a side.
const (
	unchanged uint32 = iota
	changed
	awaited
	awaitedBare // by somebody who has no memory to read into yet
)

// take says whether something has happened since it was called last.
func (s *side) take() bool {
	return s.state.Load() == changed && s.state.CompareAndSwap(changed, unchanged)
}

// mark says that it is worth looking.
func (s *side) mark() { s.state.CompareAndSwap(unchanged, changed) }

// notify marks the side and wakes who waits for that. This happens in the loop own, or, if that is nil, anywhere.
func (s *side) notify(own *loop) {
	if s.claim() != unchanged {
		s.wakeUp(own)
	}
}

// claim marks the side. If somebody waits for that, it is the caller who has to wake that one, and gets the kind of the wait; otherwise
// unchanged.
func (s *side) claim() uint32 {
	if s.state.Load() != changed {
		if was := s.state.Swap(changed); was != changed {
			return was
		}
	}
	return unchanged
}

// wakeUp wakes who waits, see notify.
func (s *side) wakeUp(own *loop) {
	switch {
	case s.task != nil:
		s.task.loop.resume(own, work{task: s.task})
	case s.job != nil:
		job := s.job
		s.job = nil
		s.of.resume(own, work{job: job})
	default:
		if s.outside {
			busy.Add(1)
		}
		s.wake <- struct{}{}
	}
}

// resume does w in this turn of the loop, if it is the one that asks, or in the next.
func (l *loop) resume(asking *loop, w work) {
	if l == asking {
		w.task.announce()
		l.queue = append(l.queue, w)
	} else {
		l.post(w)
	}
}

// setDeadline arms the deadline, as net.Conn's methods do.
func (s *side) setDeadline(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = at
	wait := time.Until(at)
	switch {
	case at.IsZero():
		s.expired.Store(false)
		if s.timer != nil {
			s.timer.Stop()
		}
	case wait <= 0:
		s.expired.Store(true)
		s.notify(nil)
	default:
		s.expired.Store(false)
		if s.timer == nil {
			s.timer = time.AfterFunc(wait, s.expire)
		} else {
			s.timer.Reset(wait)
		}
	}
}

// expire is called when the deadline may have passed: it can have been moved in the meantime.
func (s *side) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.due.IsZero() && !time.Now().Before(s.due) {
		s.expired.Store(true)
		s.notify(nil)
	}
}

// forget stops the timer for good.
func (s *side) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.due = (time.Time{}); s.timer != nil {
		s.timer.Stop()
	}
}
