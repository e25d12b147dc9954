//go:build unix

package downstream_test

import (
	"net"
	"path/filepath"
	"testing"

	"spillway/proxy"
	"spillway/proxy/downstream"
)

func TestListen_UnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := downstream.Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	left, ok := ln.(*net.UnixListener)
	if !ok {
		t.Fatalf("got %T", ln)
	}
	if again, err := downstream.Listen("unix:" + path); err == nil {
		again.Close()
		t.Error("a socket file in use was taken over")
	}
	left.SetUnlinkOnClose(false) // as if the process had been killed
	left.Close()

	ln, err = downstream.Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	addresses := make(chan string, 1)
	s := startOn(t, ln, func(ex *proxy.Exchange) error {
		addresses <- ex.RemoteAddr + "|" + ex.RemotePort
		return hello(ex)
	}, nil)
	s.dial = func() (net.Conn, error) { return net.Dial("unix", path) }
	s.connect().send(getHello).response("GET")
	if got := <-addresses; got != "unix:|" {
		t.Errorf("got %q", got)
	}
}
