//go:build linux && (amd64 || arm64)

package upstream

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"spillway/upstream/socket"
)

// TestMain sees to it that there are two loops, one for every two cores.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(4)
	os.Exit(m.Run())
}

// TestPeer_LeasesANearConnection: a task gets an idle connection of its own loop, although one of another loop was used later, and when
// there is none, that one.
func TestPeer_LeasesANearConnection(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g, err := NewGroup(GroupOptions{Protocol: mute{}, Peers: []PeerOptions{{Address: listener.Addr().String()}}, Keepalive: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	p := g.Peers()[0]
	lease := func(in func(func(*socket.Task)), fresh bool) (leased *Conn) {
		in(func(task *socket.Task) {
			c, err := p.Lease(Timeouts{Task: task}, fresh)
			if err != nil {
				t.Error(err)
				return
			}
			leased = c
		})
		return leased
	}
	here, there := anyLoop(t, listener.Addr()), anyLoop(t, listener.Addr())
	mine, other := lease(here, true), lease(there, true)
	mine.Release(Reusable)
	other.Release(Reusable)
	if lease(here, false) != mine {
		t.Error("got the connection of another loop, want the near one")
	}
	if lease(here, false) != other {
		t.Error("got another connection, want the idle one")
	}
	mine.Release(Spent)
	other.Release(Spent)
}

// anyLoop returns what runs a function in the next loop, and waits for it.
func anyLoop(t *testing.T, address net.Addr) func(func(*socket.Task)) {
	t.Helper()
	conn, err := socket.Dial(nil, address.Network(), address.String(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := socket.New(conn)
	_ = s.SetReadDeadline(time.Unix(1, 0)) // ends each wait at once
	return func(f func(*socket.Task)) {
		done := make(chan struct{})
		s.Await(func(task *socket.Task) {
			defer close(done)
			f(task)
		})
		<-done
	}
}
