package downstream

import (
	"cmp"
	"errors"
	"net"
	"slices"
	"strconv"
	"time"

	"spillway/upstream/socket"
)

// The wait after a failed accept doubles from the first to the second, as in net/http.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

// accept waits for the next client; nil: nobody comes any more. Running out of descriptors passes, and those of idle clients are given
// back for it.
func (l *Listener) accept(t *socket.Task) *conn {
	pause := time.Duration(0)
	for {
		t.Return()
		if l.leaving.Load() {
			l.hurry()
		}
		accepted, err := l.acceptor.Accept()
		switch {
		case err == nil:
			return l.add(accepted)
		case l.leaving.Load() || errors.Is(err, net.ErrClosed):
			_ = l.acceptor.Close() // here and at once: whoever connects before is reset by it
			return nil
		}
		t.Leave()
		l.acceptErrors.Add(1)
		closed := 0
		if isExhausted(err) {
			closed = l.shed()
		}
		if pause == 0 {
			l.opts.Log.Error("accept failed, trying again", "listener", l.name, "idle_closed", closed, "err", err)
		}
		pause = min(max(2*pause, firstPause), lastPause)
		select {
		case <-time.After(pause):
		case <-l.stop:
			return nil
		}
	}
}

// maxShed is how many idle connections are closed at once, as in nginx.
const maxShed = 32

// shed closes the connections that have been waiting for a request longest, and returns how many.
func (l *Listener) shed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	idle := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		if phase(c.phase.Load()) == waiting {
			idle = append(idle, c)
		}
	}
	slices.SortFunc(idle, func(a, b *conn) int { return cmp.Compare(a.since.Load(), b.since.Load()) })
	idle = idle[:min(len(idle), maxShed)]
	for _, c := range idle {
		c.shed.Store(true)
		_ = c.SetReadDeadline(past)
	}
	return len(idle)
}

// addresses has the addresses of a connection as the logs and the applications want them.
type addresses struct {
	remoteAddr, remotePort, serverAddr, serverPort string
}

// addressesOf returns those of a client. This end's are mostly those of the client before.
func (l *Listener) addressesOf(c net.Conn) addresses {
	a := l.last
	a.remoteAddr, a.remotePort = splitAddr(c.RemoteAddr())
	if here := c.LocalAddr(); here != l.here {
		a.serverAddr, a.serverPort = splitAddr(here)
		l.here, l.last = here, a
	}
	return a
}

// splitAddr returns nginx's "unix:" for what has no port.
func splitAddr(addr net.Addr) (host, port string) {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("").String(), strconv.Itoa(tcp.Port)
	}
	return "unix:", ""
}
