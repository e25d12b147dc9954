package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"spillway/upstream/socket"
)

// Timeouts bound the waits of one attempt; each is the longest time between two successful operations, as in nginx.
type Timeouts struct {
	Connect time.Duration // connect_timeout
	Send    time.Duration // send_timeout
	Read    time.Duration // read_timeout

	// Task is what waits; nil: a goroutine. See socket.Socket.Bind.
	Task *socket.Task

	// Once says that the request is not to be sent twice: that a kept connection is still open is asked at the last moment, and not
	// only known from what the loop was told.
	Once bool

	Until time.Time // no wait goes on after this, however long it may last; zero: no such moment. See Conn.Unbind
}

// Conn is a leased connection to a peer. Apart from Cancel, one goroutine at a time uses it; after Upgrade, one may read while
// another writes.
type Conn struct {
	Phase Phase // what the attempt is doing; the protocol and the relay move it on, errors carry it
	State any   // the protocol's own, kept as long as the Conn; a recycled Conn keeps it for the next connection

	peer     *Peer
	net      *socket.Socket
	timeouts Timeouts

	requests      int       // requests that this connection has carried, the present one included
	idleSince     time.Time // when it was given back
	readDeadline  time.Time // what is armed at net; see arm
	writeDeadline time.Time

	received int64 // bytes read since the lease
	awaited  bool  // the deadline of the next read has been set, by AwaitRead
	upgraded bool  // see Upgrade
	canceled atomic.Bool
}

// Uses notes that whoever has leased c is using what, see socket.Uses.
func Uses[T any](c *Conn, what *T) { socket.Uses(c.timeouts.Task, what) }

// Read reads what there is, waiting at most the read timeout. The error is io.EOF or an *Error.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.awaited {
		c.armRead()
	}
	c.awaited = false
	n, err := c.net.Read(p)
	c.received += int64(n)
	if err != nil && n == 0 {
		return 0, c.fail("recv", err)
	}
	return n, nil
}

// AwaitRead waits as the Read that follows would, where that needs no memory to read into; what is wrong, that Read finds.
func (c *Conn) AwaitRead() {
	c.armRead()
	c.awaited = true
	c.net.AwaitRead()
}

// Write writes all of p; no single wait is longer than the send timeout as long as the peer takes at least a part of
// a socket buffer in it. The error is an *Error.
func (c *Conn) Write(p []byte) (int, error) {
	if c.net.Post(p) {
		return len(p), nil
	}
	c.armWrite()
	n, err := c.net.Write(p)
	if err != nil {
		return n, c.fail("send", err)
	}
	return n, nil
}

// WriteBuffers writes all of the pieces in order, in one system call where the platform can; it consumes the slice.
func (c *Conn) WriteBuffers(pieces *net.Buffers) (int64, error) {
	if n := c.net.PostBuffers(pieces); n > 0 {
		return n, nil
	}
	c.armWrite()
	n, err := c.net.WriteBuffers(pieces)
	if err != nil {
		return n, c.fail("send", err)
	}
	return n, nil
}

// Readable says that a Read would not wait: there are bytes, the end, or an error. A protocol that sends a long body asks
// it between two pieces, because a peer may answer early and close, which can destroy the answer on its way (RFC 9112,
// section 9.5). It costs one system call.
func (c *Conn) Readable() bool {
	if c.peer.tls != nil {
		c.armRead() // TLS has to read to know, which the deadline of an earlier read would prevent
	}
	return !c.net.Quiet()
}

// Yield lets others do something between two pieces of a long body.
func (c *Conn) Yield() { c.timeouts.Task.Yield() }

// Answered returns err, the error of a Write, or nil when it is a timeout and the peer has sent something that may explain
// it: one that waits for its output to be taken, or has made up its mind, reads no further.
func (c *Conn) Answered(err error) error {
	if own, ok := errors.AsType[*Error](err); ok && own.Kind == TimedOut && c.Readable() {
		return nil
	}
	return err
}

// Answering is Answered for what a peer gets of the request while its answer is awaited: it may have answered and closed,
// so a connection that does not take any more is for the next Read to judge.
func (c *Conn) Answering(err error) error {
	if own, ok := errors.AsType[*Error](err); ok && own.Kind == Failed {
		return nil
	}
	return c.Answered(err)
}

// Reused says that the connection has carried a request before: the peer may have closed it in the meantime.
func (c *Conn) Reused() bool { return c.requests > 1 }

// Received returns the number of bytes read from the peer since the lease.
func (c *Conn) Received() int64 { return c.received }

// Cancel ends all waiting on the connection at once, from any goroutine: reads and writes return a Canceled error. The
// holder of the lease still has to Release it.
func (c *Conn) Cancel() {
	c.canceled.Store(true)
	_ = c.net.SetDeadline(time.Unix(1, 0))
}

// Upgrade turns the connection over to another protocol, until Release: reads have no timeout any more, the holder ends those
// that take too long by Cancel.
func (c *Conn) Upgrade() {
	c.Phase, c.upgraded = Upgraded, true
	c.peer.group.upgraded.Add(1)
	c.peer.group.everUpgraded.Add(1)
	_ = c.net.SetReadDeadline(time.Time{})
	c.keepCanceled()
}

// CloseWrite ends the sending side of an upgraded connection: the peer reads the end of the stream. What is wrong with a
// connection on which that fails, the reading finds.
func (c *Conn) CloseWrite() { _ = c.net.CloseWrite() }

// slack is how late a deadline may be: it is moved only when it would be earlier than asked for, then by this much too
// far, so that a busy connection sets a timer about once a second instead of twice per request.
const slack = time.Second

// armRead sees to it that a read cannot last longer than the read timeout, give or take the slack.
func (c *Conn) armRead() {
	if c.upgraded {
		return
	}
	if deadline, late := c.due(c.readDeadline, c.timeouts.Read); late {
		c.readDeadline = deadline
		_ = c.net.SetReadDeadline(deadline)
		c.keepCanceled()
	}
}

func (c *Conn) armWrite() {
	if deadline, late := c.due(c.writeDeadline, c.timeouts.Send); late {
		c.writeDeadline = deadline
		_ = c.net.SetWriteDeadline(deadline)
		c.keepCanceled()
	}
}

// keepCanceled puts back the deadline of a Cancel that came while a later one was being set.
func (c *Conn) keepCanceled() {
	if c.canceled.Load() {
		_ = c.net.SetDeadline(time.Unix(1, 0))
	}
}

// Unbind ends what Timeouts.Until began.
func (c *Conn) Unbind() { c.timeouts.Until = time.Time{} }

// due is the function due, under the deadline of the lease.
func (c *Conn) due(armed time.Time, timeout time.Duration) (deadline time.Time, late bool) {
	if until := c.timeouts.Until; !until.IsZero() {
		timeout = min(timeout, time.Until(until))
		return time.Now().Add(timeout), true
	}
	return due(armed, timeout)
}

// due says whether the armed deadline does not fit a wait of timeout that begins now, and which one does. Timeouts
// of less than ten times the slack are armed exactly. The wall clock is asked only for a deadline that is to be armed.
func due(armed time.Time, timeout time.Duration) (deadline time.Time, late bool) {
	if timeout < 10*slack {
		return time.Now().Add(timeout), true
	}
	if left := time.Until(armed); timeout <= left && left <= timeout+slack {
		return armed, false
	}
	return time.Now().Add(timeout + slack), true
}

// fail classifies an error of the connection.
func (c *Conn) fail(call string, err error) error {
	if c.canceled.Load() {
		return &Error{Phase: c.Phase, Kind: Canceled, Text: "canceled", Err: os.ErrDeadlineExceeded}
	}
	if errors.Is(err, io.EOF) {
		return err
	}
	if sending, ok := errors.AsType[*net.OpError](err); ok && sending.Op == "write" {
		return classify(Sending, "send", err) // what was posted has not left
	}
	return classify(c.Phase, call, err)
}
