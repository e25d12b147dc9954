package upstream

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"spillway/upstream/socket"
)

// TestGroup_ClosesWhatIsIdleForTooLong looks inside: a pipe has no descriptor, so a lease would not find it quiet.
func TestGroup_ClosesWhatIsIdleForTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, err := NewGroup(GroupOptions{
			Protocol: mute{}, Peers: []PeerOptions{{Address: "127.0.0.1:1"}}, Keepalive: 4, KeepaliveTimeout: time.Minute,
		})
		if err != nil {
			t.Fatal(err)
		}
		p := g.Peers()[0]
		put := func() net.Conn {
			ours, theirs := net.Pipe()
			if !p.putIdle(&Conn{peer: p, net: socket.New(ours)}, time.Now()) {
				t.Fatal("not kept")
			}
			return theirs
		}
		closed := func(theirs net.Conn) bool {
			_ = theirs.SetReadDeadline(time.Now().Add(time.Nanosecond))
			_, err := theirs.Read(make([]byte, 1))
			return errors.Is(err, io.EOF)
		}
		first := put()
		time.Sleep(40 * time.Second)
		second := put()
		for _, tt := range []struct {
			wait          time.Duration
			first, second bool
			idle          int64
		}{{19 * time.Second, false, false, 2}, {2 * time.Second, true, false, 1}, {37 * time.Second, true, false, 1}, {3 * time.Second, true, true, 0}} {
			time.Sleep(tt.wait)
			synctest.Wait()
			if a, b := closed(first), closed(second); a != tt.first || b != tt.second || g.Idle() != tt.idle {
				t.Errorf("got %v, %v closed and %d idle, want %+v", a, b, g.Idle(), tt)
			}
		}
	})
}

// TestDue: a deadline is moved only when the wait would be cut short, or could be longer than the slack allows.
func TestDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		f := func(armed time.Time, timeout time.Duration, want time.Time, late bool) {
			t.Helper()
			if got, gotLate := due(armed, timeout); gotLate != late || late && !got.Equal(want) {
				t.Errorf("armed at %v: got %v, %v, want %v, %v", armed.Sub(now), got.Sub(now), gotLate, want.Sub(now), late)
			}
		}
		const minute = time.Minute
		f(time.Time{}, minute, now.Add(minute+slack), true)
		f(now.Add(minute), minute, now, false)
		f(now.Add(minute+slack), minute, now, false)
		f(now.Add(minute-1), minute, now.Add(minute+slack), true)
		f(now.Add(2*minute), minute, now.Add(minute+slack), true) // of a lease with a longer timeout
		f(now.Add(time.Second), time.Second, now.Add(time.Second), true)
	})
}

// mute is a Protocol that is never spoken.
type mute struct{}

func (mute) Send(*Conn, *Request) error     { return nil }
func (mute) Receive(*Conn, *Response) error { return nil }
