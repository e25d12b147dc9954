package downstream

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
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
	idle := make([]*conn, 0, l.conns.count)
	for c := range l.conns.all() {
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

// addresses has the addresses of a connection as the logs and the applications want them. Those of unix sockets are nginx's
// "unix:", without a port.
type addresses struct {
	remoteAddr, remotePort, serverAddr, serverPort string
}

const unixAddr = "unix:"

// addressesOf returns those of a client. What is as with the client before is not written anew.
func (l *Listener) addressesOf(c net.Conn) addresses {
	a := &l.last
	if client := addrPort(c.RemoteAddr()); client != l.client {
		if client.Addr() != l.client.Addr() {
			a.remoteAddr = addrText(client)
		}
		a.remotePort = portText(client)
		l.client = client
	}
	if here := addrPort(c.LocalAddr()); here != l.here {
		a.serverAddr, a.serverPort = addrText(here), portText(here)
		l.here = here
	}
	return *a
}

// addrPort is an address of TCP without its zone, and nothing of what is none.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

func addrText(at netip.AddrPort) string {
	if !at.IsValid() {
		return unixAddr
	}
	return at.Addr().String()
}

func portText(at netip.AddrPort) string {
	if !at.IsValid() {
		return ""
	}
	return strconv.Itoa(int(at.Port()))
}
