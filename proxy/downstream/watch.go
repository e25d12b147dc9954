package downstream

import (
	"errors"
	"os"
	"time"
)

// The client of a request that takes long is watched, to stop working for it when it leaves:
//
//  1. The sweeper finds a connection that has been serving for a while, and from which nothing is expected but the next
//     request. If its loop has not been told of an end, that is all until it comes by again. Else it moves the phase from serving
//     to watching and starts a goroutine that reads one byte.
//  2. The byte, should one come, is put before what is read next; an error means that the client has left. With TLS it is one of a
//     record, and more are read: the client may have said farewell.
//  3. When the response has been sent, endServing moves the phase on. If it was watching, the goroutine is stopped by a
//     read deadline in the past and waited for; only then is the exchange finished, and the socket read again.

// watch starts to watch the client. The sweeper calls it.
func (c *conn) watch() {
	if !c.phase.CompareAndSwap(uint32(serving), uint32(watching)) {
		return
	}
	if !c.silent.Load() && c.phase.CompareAndSwap(uint32(watching), uint32(serving)) {
		return // it is another request by now, whose body may be awaited
	}
	go c.awaitLeave() // ends when the client sends something, leaves, or at endServing
}

func (c *conn) awaitLeave() {
	defer func() { c.watched <- struct{}{} }()
	var early [1]byte
	for {
		n, err := c.ReadAside(early[:])
		switch {
		case n > 0 && !c.hear(early[:]):
			return
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded) && c.resumeWatch():
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		default:
			c.ex.MarkGone()
			return
		}
	}
}

// resumeWatch says whether the deadline that ended a read was not meant to end the watch, and takes it away.
func (c *conn) resumeWatch() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || c.interrupted {
		return false
	}
	_ = c.SetReadDeadline(time.Time{})
	return true
}

// endServing ends the phase of serving, and the watch if there is one.
func (c *conn) endServing() { c.endWatch(waiting) }

// endWatch enters the next phase; when it returns, nobody watches the client any more.
func (c *conn) endWatch(next phase) {
	if c.enter(next) != watching {
		return
	}
	c.task.Leave()
	c.mu.Lock()
	c.stopping = true
	_ = c.SetReadDeadline(past)
	c.mu.Unlock()
	<-c.watched
	c.mu.Lock()
	c.stopping = false
	if !c.interrupted {
		_ = c.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
}
