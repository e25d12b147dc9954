package upstream

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"spillway/upstream/socket"
)

// Fate says what becomes of a connection that is released.
type Fate uint8

// The fates of a connection.
const (
	Spent    Fate = iota // closed: the response ended with it, it broke, or it was abandoned
	Reusable             // kept for the next request, if the group keeps connections
)

// conns recycles Conn values with what protocols keep in State; each peer's group has one protocol, so State fits.
type conns struct{ pool sync.Pool }

// Lease returns a connection to the peer: the idle one that was used last, or a new one. The caller holds a slot of the
// peer, unless nobody else uses it, and must Release the connection. The error is an *Error of the phase Connecting or Handshaking. fresh
// asks for a new connection, after an idle one had died.
func (p *Peer) Lease(timeouts Timeouts, fresh bool) (*Conn, error) {
	if !fresh {
		if c := p.takeIdle(timeouts); c != nil {
			return c, nil
		}
	}
	c, err := p.dial(timeouts)
	if err != nil {
		return nil, err
	}
	c.begin(timeouts)
	return c, nil
}

// begin starts a lease on c.
func (c *Conn) begin(timeouts Timeouts) {
	c.timeouts = timeouts
	c.net.Bind(timeouts.Task)
	Uses(c, c)
	c.requests++
	c.awaited = false
	c.received = 0
	c.Phase = Connecting
}

func (p *Peer) dial(timeouts Timeouts) (*Conn, error) {
	if p.State() != Serving {
		return nil, &Error{Phase: Connecting, Kind: Refused, Text: "connect() not tried", Err: ErrNotServing}
	}
	deadline := timeouts.Until
	if connect := time.Now().Add(timeouts.Connect); timeouts.Connect > 0 && (deadline.IsZero() || connect.Before(deadline)) {
		deadline = connect
	}
	nc, err := socket.Dial(timeouts.Task, p.network, p.target, deadline)
	if err != nil {
		return nil, connectError(err)
	}
	if p.tls != nil {
		timeouts.Task.Leave() // what a handshake computes takes its time
		if nc, err = p.secure(nc, deadline); err != nil {
			return nil, err
		}
	}
	c, _ := p.group.conns.pool.Get().(*Conn)
	if c == nil {
		c = &Conn{}
	}
	c.peer, c.net = p, socket.New(nc)
	return c, nil
}

// Refuses says whether nobody listens at the peer: a connection is made, and closed if it comes about. It takes as long as patience
// at most; a peer that says nothing for so long does not refuse.
func (p *Peer) Refuses(patience time.Duration) bool {
	err := p.knock(patience)
	return err != nil && connectError(err).Kind == Refused
}

// accepts says whether a connection to the peer comes about within patience; it is closed then.
func (p *Peer) accepts(patience time.Duration) bool {
	return p.knock(patience) == nil
}

// knock makes a connection to the peer within patience, and closes it.
func (p *Peer) knock(patience time.Duration) error {
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1}
	nc, err := dialer.Dial(p.network, p.target)
	if err == nil {
		_ = nc.Close()
	}
	return err
}

// connectError tells a dial that ran into its timeout from one that was refused, and from one that had no socket: that is
// no failure of the peer, which would be out of use for fail_timeout although descriptors are free again. nginx answers
// 500 then, we the status that says "later".
func connectError(err error) *Error {
	if Exhausted(err) {
		reason := &Error{Phase: Connecting, Kind: Canceled, Text: callName("socket") + " failed", Err: err}
		return &Error{
			Phase: Connecting, Kind: Canceled, Text: reason.Text, Err: reason, Status: http.StatusServiceUnavailable,
		}
	}
	if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		return &Error{Phase: Connecting, Kind: TimedOut, Text: "upstream timed out", Err: errTimedOut}
	}
	return classify(Connecting, "connect", err)
}

// Exhausted says whether a dial ended with err because this side has no socket or memory left.
func Exhausted(err error) bool {
	return slices.ContainsFunc(exhausted(), func(ours error) bool { return errors.Is(err, ours) })
}

// Release ends the lease, but not the slot. A Reusable connection goes to the idle ones if the group keeps connections, has room, and the
// connection may carry one more request; every other is closed.
func (c *Conn) Release(fate Fate) { c.ReleaseAt(time.Now(), fate) }

// ReleaseAt is Release for a holder that knows what time it is.
func (c *Conn) ReleaseAt(now time.Time, fate Fate) {
	p := c.peer
	if fate == Reusable && !c.upgraded && c.requests < p.group.keepaliveRequests && !c.canceled.Load() && p.putIdle(c, now) {
		return
	}
	c.close()
}

// close closes the connection and recycles c.
func (c *Conn) close() {
	_ = c.net.Close()
	g := c.peer.group
	if c.upgraded {
		g.upgraded.Add(-1)
	}
	*c = Conn{State: c.State}
	g.conns.pool.Put(c)
}
