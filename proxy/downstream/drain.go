package downstream

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// How a listener is given up, without harm to a client that only sends requests:
//
//  1. Who has connected is accepted, until nobody has come for a moment; on Linux nobody new can connect meanwhile. Then the
//     socket is closed. Till then connections are kept, so that their clients have no reason to connect again.
//  2. Every response says from now on that the connection ends with it.
//  3. A connection that waits for a request is left alone until nothing has come for quietTime: the client that is in a
//     series of requests sends the next one before, and learns from its response.
//  4. One that is quiet is looked at once more, then the sending side is closed, and the rest read for a while. So a
//     request that crosses is not processed, for sure, and its client sees the end of the stream and no reset.
//
// Step 4 is also the end of a connection that has waited for the keep-alive timeout.

const (
	acceptTime = time.Second // for step 1 at most

	// sealedPause is how long nobody has come when nobody new can: a round trip to a client that is not far away, whose handshake
	// had begun. openPause is that when others go on connecting: short, so that it happens.
	sealedPause = 50 * time.Millisecond
	openPause   = 2 * time.Millisecond

	// quietTime is half a second, much more than the pause of a client that sends one request after the other; a wait may
	// have begun up to a tick of the clock later than noted.
	quietTime = 500*time.Millisecond + sweepEvery

	// crossTime is how long a request may be on its way that the client sent before it knew of the close.
	crossTime = time.Second
)

// Shutdown stops accepting, closes the connections that have no request and waits for the others, whose responses say
// "Connection: close". When ctx is over it closes those too, and returns its error.
func (l *Listener) Shutdown(ctx context.Context) error {
	err := l.StopAccepting(ctx)
	l.drain()
	l.check()
	select {
	case <-l.empty:
		return err
	case <-ctx.Done():
	}
	if l.interrupt() {
		select {
		case <-l.empty:
		case <-time.After(cutTime):
		}
	}
	l.cut()
	return ctx.Err()
}

// StopAccepting closes the socket, so that the address can be listened on anew; the connections that there are go on until
// Shutdown, which is the next call. It takes those in who have connected already; when ctx is over they are reset.
func (l *Listener) StopAccepting(ctx context.Context) error {
	l.leaveAt.Store(l.now() + int64(acceptTime))
	if l.serving.Load() && ctx.Err() == nil && !l.leaving.Swap(true) {
		l.sealed.Store(admitNobody(l.acceptor))
		if l.hurry() {
			select {
			case <-l.accepted:
			case <-ctx.Done():
			}
		}
	}
	if err := l.acceptor.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// listening is a socket that somebody listens on.
type listening interface {
	syscall.Conn
	Addr() net.Addr
}

// hurry ends the next Accept when nobody comes; false if the listener knows no deadlines or is closed.
func (l *Listener) hurry() bool {
	pause := openPause
	if l.sealed.Load() {
		pause = sealedPause
	}
	wait := min(pause, time.Duration(l.leaveAt.Load()-l.now()))
	return l.acceptor.SetDeadline(time.Now().Add(wait))
}

// drain lets no connection in any more.
func (l *Listener) drain() {
	l.draining.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped = true
		close(l.stop)
	}
	l.noteEmpty()
}

func (l *Listener) noteEmpty() {
	if l.stopped && l.conns.count == 0 && !l.finished {
		l.finished = true
		close(l.empty)
	}
}

// interrupt ends the tunnels in order, and says whether there are any. Nothing else would: an open one is no sign of work.
func (l *Listener) interrupt() (found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns.all() {
		if phase(c.phase.Load()) == upgraded {
			c.interrupt()
			found = true
		}
	}
	return found
}

// cut closes all connections, without a word.
func (l *Listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns.all() {
		_ = c.Socket.Close()
	}
}

// isQuiet says whether the connection is to be closed, as its listener is given up or its descriptor is needed, and has waited
// long enough for something to come.
func (c *conn) isQuiet(now int64) bool {
	if c.shed.Load() && phase(c.phase.Load()) == waiting {
		return true
	}
	if !c.l.draining.Load() {
		return false
	}
	waited := time.Duration(now - c.since.Load())
	switch phase(c.phase.Load()) {
	case waiting:
		return waited >= quietTime
	case closing:
		return waited >= crossTime
	default:
		return false
	}
}

// lingerTimeouts are nginx's lingering_timeout and lingering_time.
const (
	lingerTimeout = 5 * time.Second
	lingerTime    = 30 * time.Second
)

// Close closes the connection. If the client may still be sending, the sending side is closed first and the rest read
// for a while: a socket that is closed with bytes unread resets the connection, and the client may lose the response
// (RFC 9112 section 9.6). A body that ends with the connection and was cut is reset, so that it cannot look complete.
func (c *conn) Close() error {
	switch {
	case c.cut:
		_ = c.SetLinger(0)
	case c.idle:
		c.linger(crossTime, crossTime)
	case c.unclean || len(c.ahead) > 0:
		c.linger(lingerTimeout, lingerTime)
	default:
		c.farewell()
	}
	err := c.Socket.Close()
	c.l.remove(c)
	return err
}

// linger closes the sending side and reads until the client closes its own, a pause is too long or all the time is over.
func (c *conn) linger(pause, all time.Duration) {
	if c.endSending() != nil {
		return
	}
	c.layer = nil // nobody wants to know what comes
	c.enter(closing)
	var sink [4 << 10]byte
	for end := c.l.now() + int64(all); c.l.now() < end; {
		if _, err := c.wait(sink[:], c.l.clock.Load()+int64(pause)); err != nil {
			return
		}
	}
}
