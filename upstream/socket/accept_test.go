//go:build linux && (amd64 || arm64)

package socket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// visit has a client come, and returns both ends of its connection.
func visit(t *testing.T, a *Acceptor) (client, accepted net.Conn) {
	t.Helper()
	client, err := net.Dial(a.Addr().Network(), a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if accepted, err = a.Accept(); err != nil {
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
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		a := NewAcceptor(listener)
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
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := NewAcceptor(listener)
	defer a.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
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
