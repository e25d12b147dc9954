//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newAcceptor returns an Acceptor of TCP for the time of the test.
func newAcceptor(t *testing.T) *Acceptor {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := NewAcceptor(listener)
	t.Cleanup(func() { a.Close() })
	return a
}

// dialAcceptor has a client connect and send something.
func dialAcceptor(t *testing.T, a *Acceptor, says string) net.Conn {
	t.Helper()
	client, err := net.Dial(a.Addr().Network(), a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	_, _ = client.Write([]byte(says))
	return client
}

// visit has a client come, and returns both ends of its connection.
func visit(t *testing.T, a *Acceptor) (client, accepted net.Conn) {
	t.Helper()
	client = dialAcceptor(t, a, "x") // or else it comes later
	accepted, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return client, accepted
}

func TestAcceptor_Ends(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(a *Acceptor)
		want error
	}{
		"by a deadline": {func(a *Acceptor) { a.SetDeadline(time.Now().Add(time.Millisecond)) }, os.ErrDeadlineExceeded},
		"by Close":      {func(a *Acceptor) { a.Close() }, net.ErrClosed},
	} {
		a := newAcceptor(t)
		ended := make(chan error)
		go func() {
			_, err := a.Accept()
			ended <- err
		}()
		end.do(a)
		if err := <-ended; !errors.Is(err, end.want) {
			t.Errorf("%s: got %v, want %v", name, err, end.want)
		}
		a.Close()
	}
}

// TestAcceptor_TakesTheSocketOver: what was there before it is closed, and a unix socket's file goes with it, but not with its second
// Close: by then another one may have the name.
func TestAcceptor_TakesTheSocketOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	a := NewAcceptor(listener)
	if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that the listener is closed", err)
	}
	_, c := visit(t, a)
	if got, want := c.LocalAddr().String(), path; got != want {
		t.Errorf("got %q as this end, want %q", got, want)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if listener, err = net.Listen("unix", path); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that it is closed", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

// TestAcceptor_KnowsBothEnds compares the addresses with what the client says.
func TestAcceptor_KnowsBothEnds(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Skip(err) // a machine without IPv6
			}
			a := NewAcceptor(listener)
			defer a.Close()
			client, c := visit(t, a)
			if got, want := c.RemoteAddr().String(), client.LocalAddr().String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got, want := c.LocalAddr().String(), client.RemoteAddr().String(); got != want {
				t.Errorf("got %s as this end, want %s", got, want)
			}
		})
	}
}

func TestAcceptor_AcceptsWhoCameBeforeTheDeadline(t *testing.T) {
	a := newAcceptor(t)
	dialAcceptor(t, a, "x")
	if !a.SetDeadline(time.Unix(1, 0)) {
		t.Fatal("got a listener without deadlines")
	}
	c, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := a.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

// TestAcceptor_TakesFirstWhoHasSentSomething, and not much later those who have not; once there is a deadline, all that have connected.
func TestAcceptor_TakesFirstWhoHasSentSomething(t *testing.T) {
	a := newAcceptor(t)
	silent, talker := dialAcceptor(t, a, ""), dialAcceptor(t, a, "x")
	for _, want := range []net.Conn{talker, silent} {
		c, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got, want := c.RemoteAddr().String(), want.LocalAddr().String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	a.SetDeadline(time.Now().Add(time.Hour))
	dialAcceptor(t, a, "")
	a.SetDeadline(time.Unix(1, 0))
	c, err := a.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestAcceptor_LooksForWhatAClientHasSent: one that has asked when it is accepted needs no event of its loop to be served, and one that
// has not is waited for.
func TestAcceptor_LooksForWhatAClientHasSent(t *testing.T) {
	for _, sent := range []bool{true, false} {
		a := newAcceptor(t)
		l := a.d.loop
		a.SetDeadline(time.Now().Add(time.Hour))
		says := ""
		if sent {
			says = "x"
		}
		client := dialAcceptor(t, a, says)
		type found struct {
			attended bool
			text     string
			err      error
		}
		finds, waits := make(chan found), make(chan struct{})
		go a.Serve(func(*Task) { // ends when one was accepted
			c, err := a.Accept()
			if err != nil {
				finds <- found{err: err}
				return
			}
			d := c.(*descriptor)
			d.loop = l
			d.Await(func(t *Task) {
				d.Bind(t)
				f := found{attended: d.attended.Load()}
				buf := make([]byte, 10)
				n, err := d.Read(buf)
				f.text, f.err = string(buf[:n]), err
				d.Close()
				t.Leave()
				finds <- f
			})
			l.post(work{job: func(*Task) { close(waits) }}) // a turn later
		})
		if !sent {
			<-waits
			_, _ = client.Write([]byte("x"))
		}
		if f := <-finds; f.err != nil || f.text != "x" || f.attended == sent {
			t.Errorf("sent before it was accepted %v: got %+v", sent, f)
		}
		client.Close()
		a.Close()
	}
}

// TestDescriptor_SaysThatNobodyAttends: that the system tells no loop of a socket is an error of whoever would wait for it.
func TestDescriptor_SaysThatNobodyAttends(t *testing.T) {
	near, far := ends(t)
	defer far.Close()
	fd, err := unix.Dup(near.fd)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDescriptor(fd, &loop{epoll: -1}, "tcp")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Read(make([]byte, 1)); !errors.Is(err, unix.EBADF) {
		t.Errorf("got %v, want what the system said", err)
	}
	if n, err := d.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("got %d, %v where there is nothing to wait for", n, err)
	}
}
