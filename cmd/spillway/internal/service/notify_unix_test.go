//go:build unix

package service

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// manager listens where systemd would, and returns a function that reads one message.
func manager(t *testing.T) (next func() string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	return func() string {
		t.Helper()
		buffer := make([]byte, 512)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return string(buffer[:n])
	}
}

func TestRun_TellsSystemdHowFarItIs(t *testing.T) {
	next := manager(t)
	want := func(first string) {
		t.Helper()
		if got := next(); !strings.HasPrefix(got, first) {
			t.Errorf("got %q, want it to begin with %s", got, first)
		}
	}
	err := Run("", func(ctx context.Context, n *Notify) error {
		n.Ready()
		want("READY=1\n")
		n.Reloading()
		want("RELOADING=1\nMONOTONIC_USEC=")
		n.Reloaded(errors.New("unknown key"))
		want("READY=1\n")
		n.Stopping()
		want("STOPPING=1\n")
		return ctx.Err()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestRun_IsSilentWithoutAManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	failure := errors.New("port taken")
	err := Run("", func(_ context.Context, n *Notify) error {
		n.Ready()
		n.Stopping()
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
}

// A goroutine of serve that is late does not block, and nobody is told any more.
func TestRun_ALateWordIsDropped(t *testing.T) {
	manager(t)
	var late *Notify
	if err := Run("", func(_ context.Context, n *Notify) error { late = n; return nil }); err != nil {
		t.Fatal(err)
	}
	late.Ready()
}

// A reload that the end overtakes tells that it is over: the manager must not believe that the program serves, and still has to
// be asked for patience.
func TestRun_ThereIsNoWayBackFromStopping(t *testing.T) {
	next := manager(t)
	socket := os.Getenv("NOTIFY_SOCKET")
	err := Run("", func(_ context.Context, n *Notify) error {
		n.Stopping()
		n.Reloaded(errors.New("it is ending"))
		n.Ready()
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := next(); !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("got %q", got)
	}
	send(socket, "nothing more")
	if got := next(); got != "nothing more" {
		t.Errorf("got %q after STOPPING", got)
	}
}
